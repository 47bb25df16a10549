"""Other words for what the world asks, and questions for what the world has not: users use their own.

The world has two or three wordings for each question. A model that has read these alone answers others with anything at all, and one
that has only ever been asked about coloured shapes says "p." when asked what the man is doing.
"""
import re

REWORDED = 0.3  # share of questions
FOREIGN = 0.15  # share of clips that are asked one more

# What the world asks -> how else it is asked.
OTHERS = [(re.compile(pattern), others) for pattern, others in [
    (r"(?:When is|When can|When does|From when to when is) the (.+?) (?:visible|be seen|appear)\?",
     ["When is the {} on screen?", "When is the {} shown?", "When do we see the {}?", "At what time does the {} appear?",
      "When does the {} show up?", "When is the {} in the picture?", "When can I see the {}?", "Find the {}.", "Where in the video is the {}?",
      "From when to when is the {} on screen?", "At what time is the {} visible?", "When is the {} in the video?"]),
    (r"(?:Is there|Can|Does) (an? .+?|the .+?|a counter) (?:in the video|be seen in the video|appear in the video)\?",
     ["Is there {}?", "Can you see {}?", "Do you see {}?", "Does {} show up?", "Is {} visible?", "Is {} shown in the video?", "Do we see {}?",
      "Is {} on screen?", "Does the video show {}?", "Is there {} anywhere?"]),
    (r"(?:What colour is|Which colour does|What is the colour of) the (\S+?)(?: have)?\?",
     ["What color is the {}?", "What is the color of the {}?", "Which color has the {}?", "Tell me the colour of the {}.", "In what colour is the {}?"]),
    (r"(?:What shape is|Which shape does|What is the shape of) the (\S+) object(?: have)?\?",
     ["What shape is the {} thing?", "What is the {} object?", "What is the {} thing?", "What shape does the {} thing have?"]),
    (r"(?:Which way does|In which direction does|How does) the (.+?) move\?",
     ["What does the {} do?", "Where does the {} go?", "Where does the {} move?", "In what direction is the {} moving?", "How is the {} moving?",
      "What is the {} doing?"]),
    (r"(?:What does the sign say|What is written on the sign|Which word or number is on the sign)\?",
     ["What does the sign read?", "Read the sign.", "What is on the sign?", "What text is shown?", "What is written?", "What does it say?",
      "Which text can be read?", "What is the text on the sign?", "What word is on the sign?", "What number is on the sign?"]),
    (r"(?:What does|What is written on) the (\S+) sign(?: say)?\?", ["What does the {} sign read?", "Read the {} sign.", "What is on the {} sign?"]),
    (r"How many (?:different )?(.+?) (?:appear|are there) in the video\?",
     ["How many {} are there?", "How many {} can you see?", "How many {} do you see?", "Count the {}.", "How many {} are shown?", "How many {} show up?"]),
    (r"(?:How long is|For how long can|How many seconds is) the (.+?) (?:visible|be seen)\?",
     ["How long is the {} on screen?", "How long is the {} shown?", "For how long is the {} shown?", "How long can I see the {}?", "How long does the {} stay?"]),
    (r"(?:Does|Is) the (.+?) (?:appear|first seen) before or after the (.+?)\?",
     ["Does the {} come before or after the {}?", "Is the {} shown before or after the {}?", "Does the {} show up before or after the {}?"]),
    (r"(?:What appears|What appears next|Which object comes) after the (.+?)\?",
     ["What comes after the {}?", "What is next after the {}?", "What follows the {}?", "What is shown after the {}?"]),
    (r"(?:In which scene is|Which scene shows|In which scene does) the (.+?)(?: visible| appear)?\?",
     ["In what scene is the {}?", "Which scene has the {}?", "In which scene do we see the {}?"]),
]]

NOUNS = ("dog cat man woman person child baby boy girl car truck bicycle train plane boat horse bird cow sheep elephant house tree flower door window table chair "
         "phone book bag cup ball hat dress shirt shoe hand face beach mountain street road bridge train station kitchen computer "
         "speaker teacher player singer crowd goal snow rain sun moon cloud logo banana apple cake spider robot").split()
ABOUT = ["red", "big", "small", "old", "young", "black", "white", "tall", "yellow", "other", "first", "last"]
DOINGS = ["opens the door", "says hello", "is cooking", "wins the game", "scores the goal", "falls down", "sings", "drives the car", "is talking", "leaves the room"]
NOT_THERE, NO, NONE = "It is not in the video.", "No.", "0."


def reworded(rng, kind, prompt):
    """The question in other words, or as somebody typed it, or as it is."""
    if rng.random() >= REWORDED or kind == "choice":
        return prompt
    for pattern, others in OTHERS:
        if found := pattern.fullmatch(prompt):
            prompt = rng.choice(others).format(*found.groups())
            break
    return typed(rng, prompt)


def typed(rng, prompt):
    """As people type: some without capitals, some without the mark at the end."""
    if rng.random() < 0.3:
        prompt = prompt[0].lower() + prompt[1:]
    return prompt.rstrip("?.") if rng.random() < 0.25 else prompt


def foreign(rng):
    """A question for what no clip has: prompt and answer."""
    noun = rng.choice(NOUNS)
    thing = f"{rng.choice(ABOUT)} {noun}" if rng.random() < 0.3 else noun
    one, doing = ("an " if thing[0] in "aeiou" else "a ") + thing, rng.choice(DOINGS)
    sort = rng.random()
    if sort < 0.35:
        prompt, answer = rng.choice([f"Is there {one} in the video?", f"Does {one} appear in the video?", f"Can {one} be seen in the video?",
                                     f"Is there {one}?", f"Can you see {one}?", f"Do you see any {noun}?"]), NO
    elif sort < 0.45:
        prompt, answer = rng.choice([f"How many {noun}s are there in the video?", f"How many {noun}s appear in the video?", f"How many {noun}s are there?"]), NONE
    else:
        prompt, answer = rng.choice([
            f"When is the {thing} visible?", f"When does the {thing} appear?", f"When can the {thing} be seen?", f"What is the {thing} doing?", f"What does the {thing} do?",
            f"What colour is the {thing}?", f"What color is the {thing}?", f"Which way does the {thing} move?", f"How long is the {thing} visible?", f"Where is the {thing}?",
            f"Who {doing}?", f"When does the {noun} come back?", f"Why does the {thing} move?", f"What does the {thing} say?", f"What happens after the {thing}?",
            f"Who is the {thing}?", f"When does someone come who {doing}?", f"What is the name of the {thing}?"]), NOT_THERE
    return typed(rng, prompt), answer
