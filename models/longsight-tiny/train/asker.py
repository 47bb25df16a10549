"""What every visual token is asked while training: which words of the world apply to its part of the picture (`truth.cells`)."""
import torch
from torch import nn
from torch.nn import functional as F
from truth import COLOURS, NAMED, SEEN, SHAPES, WORDS


class Asker(nn.Module):
    """Visual tokens [n, cells, hidden] -> scores [n, cells, SEEN]: by the language model's word vectors where SEEN are words."""

    def __init__(self, tok, embed):
        super().__init__()
        # The vector of a word in mid-sentence and of the same word at its beginning: both are pulled towards what they name.
        forms = [(" " + n, n if n.isupper() else n.capitalize()) for n in COLOURS + SHAPES + WORDS]
        self.ids = torch.tensor([[tok.encode(f, add_special_tokens=False).ids[0] for f in pair] for pair in forms])
        self.embed, self.rest = embed, nn.Linear(embed.weight.shape[1], len(SEEN) - NAMED)
        nn.init.constant_(self.rest.bias, -3.0)
        self.bias, self.gain = nn.Parameter(torch.full((NAMED,), -3.0)), nn.Parameter(torch.tensor(10.0))

    def forward(self, tokens):
        vectors = F.normalize(self.embed.weight[self.ids], dim=-1)
        named = torch.einsum("nch,wfh->ncwf", F.normalize(tokens, dim=-1), vectors).mean(-1) * self.gain + self.bias
        return torch.cat([named, self.rest(tokens)], -1)

    def wrong(self, tokens, y):
        """The loss for targets [n, cells, SEEN] of 1, 0 and -1 (not asked), a pair; and the scores."""
        tokens = tokens.float()
        scores = self(tokens)
        weight = (y >= 0) * torch.where(y > 0, 4.0, 1.0)
        wrong = F.binary_cross_entropy_with_logits(scores, y.clamp(min=0).float(), reduction="none") * weight
        return wrong.sum() / len(tokens) + 1e-3 * (tokens.norm(dim=-1) - 1).square().mean(), scores
