//! The checkpoint's own chat template, run as Hugging Face runs it.

use super::PromptError;
use longsight_models::Checkpoint;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value, context};
use serde_json::Value as Json;

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What the model should be
    System,
    /// The question
    User,
    /// What the model said before
    Assistant,
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The next of the media, a video
    Video,
    /// The next of the media, an image
    Image,
    /// Words
    Text {
        /// The words
        text: String,
    },
}

impl Part {
    /// Words.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }
}

/// One turn of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who says it
    pub role: Role,
    /// What, in order
    pub content: Vec<Part>,
}

impl Message {
    /// A user's question about one video.
    pub fn about_video(question: impl Into<String>) -> Self {
        Self { role: Role::User, content: vec![Part::Video, Part::text(question)] }
    }

    /// Words alone.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, content: vec![Part::text(text)] }
    }

    /// As chat templates expect it.
    fn to_value(&self) -> Value {
        let role = match self.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let part = |part: &Part| match part {
            Part::Video => context! { type => "video" },
            Part::Image => context! { type => "image" },
            Part::Text { text } => context! { type => "text", text },
        };
        context! { role, content => self.content.iter().map(part).collect::<Vec<Value>>() }
    }
}

const NAME: &str = "chat";

/// A compiled chat template with the special tokens that it may name.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    special: Vec<(&'static str, String)>,
}

impl ChatTemplate {
    /// From chat_template.jinja, chat_template.json, processor_config.json or tokenizer_config.json; `None` without.
    ///
    /// # Errors
    /// When a file cannot be read or the template cannot be compiled.
    pub fn open(checkpoint: &Checkpoint) -> Result<Option<Self>, PromptError> {
        let tokenizer = checkpoint.json("tokenizer_config.json")?.unwrap_or(Json::Null);
        let Some(source) = find_source(checkpoint, &tokenizer)? else { return Ok(None) };
        Self::compile(source, &tokenizer).map(Some)
    }

    fn compile(source: String, tokenizer: &Json) -> Result<Self, PromptError> {
        let mut environment = Environment::new();
        environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", |format: &str| super::date::strftime_now(format));
        environment.add_filter("tojson", to_json);
        environment.add_template_owned(NAME, source)?;
        let special = ["bos_token", "eos_token", "pad_token", "unk_token"].into_iter();
        let special = special.filter_map(|name| {
            let token = &tokenizer[name];
            let text = token.as_str().or_else(|| token["content"].as_str())?;
            Some((name, text.to_owned()))
        });
        Ok(Self { environment, special: special.collect() })
    }

    /// The messages, followed by the beginning of the assistant's turn.
    ///
    /// # Errors
    /// When the template raises one.
    pub fn render(&self, messages: &[Message]) -> Result<String, PromptError> {
        let messages: Vec<Value> = messages.iter().map(Message::to_value).collect();
        let special = Value::from_pairs(self.special.iter().map(|(name, text)| (*name, text.as_str())));
        let values = context! { messages, add_generation_prompt => true, tools => (), ..special };
        Ok(self.environment.get_template(NAME)?.render(values)?)
    }
}

fn find_source(checkpoint: &Checkpoint, tokenizer: &Json) -> Result<Option<String>, PromptError> {
    if let Some(text) = checkpoint.text("chat_template.jinja")? {
        return Ok(Some(text));
    }
    for name in ["chat_template.json", "processor_config.json"] {
        if let Some(text) = checkpoint.json(name)?.as_ref().and_then(|config| config["chat_template"].as_str()) {
            return Ok(Some(text.to_owned()));
        }
    }
    let template = &tokenizer["chat_template"];
    let named = template.as_array().into_iter().flatten();
    let default = named.filter(|entry| entry["name"] == "default").find_map(|entry| entry["template"].as_str());
    Ok(template.as_str().or(default).map(str::to_owned))
}

fn raise_exception(message: String) -> Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
}

/// `json.dumps(value, ensure_ascii=False)`: the engine's own filter without its escapes for HTML.
#[expect(clippy::needless_pass_by_value, reason = "the engine hands keyword arguments over")]
fn to_json(value: &Value, options: Kwargs) -> Result<String, minijinja::Error> {
    let indent: Option<Value> = options.get("indent")?;
    // Further options of Python's function (`ensure_ascii`, `sort_keys`) do not occur in what chats hold.
    let json = minijinja::filters::tojson(value, indent, Kwargs::from_iter([] as [(String, Value); 0]))?.to_string();
    let mut out = String::with_capacity(json.len());
    let mut rest = json.as_str();
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let html = [("\\u003c", '<'), ("\\u003e", '>'), ("\\u0026", '&'), ("\\u0027", '\'')];
        if let Some((code, character)) = html.iter().find(|(code, _)| escape.starts_with(code)) {
            out.push(*character);
            rest = &escape[code.len()..];
        } else {
            // An escaped backslash is passed as a whole, so that its second half begins no escape. JSON escapes are ASCII.
            let (escape, after) = escape.split_at(escape.len().min(2));
            out.push_str(escape);
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed call fails the test")]
    use super::*;

    fn render(template: &str, messages: &[Message]) -> Result<String, PromptError> {
        ChatTemplate::compile(template.to_owned(), &serde_json::json!({"eos_token": {"content": "<end>"}}))?
            .render(messages)
    }

    #[test]
    fn templates_see_messages_parts_and_special_tokens() {
        let template = "{%- for m in messages %}\n  {% if m.content is string %}{{ m.content }}{% else %}\
            {%- for c in m['content'] %}{% if c.type == 'video' or 'video' in c %}<V>{% elif 'text' in c %}{{ c.text }}{% endif %}\
            {% endfor %}{% endif %}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}go{% endif %}";
        assert_eq!(render(template, &[Message::about_video("why?")]).unwrap(), "<V>why?<end>go");
    }

    #[test]
    fn python_methods_and_json_work_as_in_python() {
        let template = "{% set ns = namespace(n=0) %}{% for k, v in {'b': 1, 'a': [1, '<é>']}.items() %}\
            {{ k.upper() }}{% endfor %}{{ {'b': 1, 'a': [1, '<é>']} | tojson }}{{ 'x y'.split(' ')[-1] }}";
        assert_eq!(render(template, &[]).unwrap(), "BA{\"b\": 1, \"a\": [1, \"<é>\"]}y");
    }

    #[test]
    fn a_template_can_refuse() {
        let error = render("{{ raise_exception('no system turn') }}", &[]).unwrap_err().to_string();
        assert!(error.contains("no system turn"), "{error}");
    }

    #[test]
    fn blocks_take_their_line_end_with_them() {
        assert_eq!(render("{% if true %}\n  a\n  {% endif %}\nb\n", &[]).unwrap(), "  a\nb");
    }
}
