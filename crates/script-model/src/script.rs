//! What a script can say. It must not know how any of it looks on the wire.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::request::Request;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// The only key that is accepted; any, when absent. It must not stand in a body.
    pub key: Option<String>,
    /// The only model there is; any, when absent.
    pub model: Option<String>,
    /// Texts that must not stand in the body of a request.
    pub canaries: Vec<String>,
    /// Before each piece of an answer.
    pub pause_ms: u64,
    /// The first that fits answers.
    pub turns: Vec<Turn>,
}

impl Script {
    pub fn of(turns: impl IntoIterator<Item = Turn>) -> Self {
        Self { turns: turns.into_iter().collect(), ..Self::default() }
    }

    pub(crate) fn choose(&self, request: &Request, used: &HashMap<usize, u32>) -> Option<usize> {
        let fits = |(position, turn): &(usize, &Turn)| {
            let is_left = turn.times.is_none_or(|times| used.get(position).copied().unwrap_or(0) < times);
            is_left && turn.when.fits(request)
        };
        self.turns.iter().enumerate().find(fits).map(|(position, _)| position)
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Turn {
    pub when: When,
    /// How often the turn can be used; always, when absent.
    pub times: Option<u32>,
    pub reply: Reply,
    pub fault: Option<Fault>,
}

impl Turn {
    pub fn say(text: &str) -> Self {
        Self { reply: Reply { text: text.into(), ..Reply::default() }, ..Self::default() }
    }

    pub fn call(calls: impl IntoIterator<Item = Call>) -> Self {
        Self { reply: Reply { calls: calls.into_iter().collect(), ..Reply::default() }, ..Self::default() }
    }

    pub fn fail(fault: Fault) -> Self {
        let call = Call { id: None, name: "look".into(), arguments: json!({"path": "a/long/path.txt"}) };
        let reply = Reply { text: "Half of what I wanted to say.".into(), calls: vec![call], ..Reply::default() };
        Self { reply, fault: Some(fault), ..Self::default() }
    }

    pub fn once(self) -> Self {
        Self { times: Some(1), ..self }
    }

    pub fn when(self, when: When) -> Self {
        Self { when, ..self }
    }
}

/// All that is given must be so.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// 1: nothing was answered in this conversation yet.
    pub request: Option<usize>,
    /// The last text of the user, or result of a tool, has this in it.
    pub last_contains: Option<String>,
    pub system_contains: Option<String>,
    pub has_tools: Option<bool>,
    pub has_schema: Option<bool>,
}

impl When {
    fn fits(&self, request: &Request) -> bool {
        self.request.is_none_or(|number| number == request.answered() + 1)
            && self.last_contains.as_ref().is_none_or(|text| request.last_text().contains(text))
            && self.system_contains.as_ref().is_none_or(|text| request.system.contains(text))
            && self.has_tools.is_none_or(|has| has != request.tools.is_empty())
            && self.has_schema.is_none_or(|has| has == request.has_schema)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reply {
    pub reasoning: String,
    pub text: String,
    pub calls: Vec<Call>,
    /// Absent: the server says nothing of tokens.
    pub usage: Option<Usage>,
}

impl Default for Reply {
    fn default() -> Self {
        Self { reasoning: String::new(), text: String::new(), calls: Vec::new(), usage: Some(Usage::default()) }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    #[serde(default)]
    pub id: Option<String>,
    pub name: String,
    pub arguments: Value,
}

impl Call {
    pub fn new(name: &str, arguments: Value) -> Self {
        Self { id: None, name: name.into(), arguments }
    }
}

/// As people count: `input` has `cached` and `written` in it, `output` has `reasoning`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
    pub cached: u64,
    pub written: u64,
    pub reasoning: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self { input: 100, output: 20, cached: 0, written: 0, reasoning: 0 }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// 429, with this in the header `Retry-After`.
    RateLimited(Option<String>),
    ServerError,
    /// 529.
    Overloaded,
    ContextOverflow,
    ContentFilter,
    WrongModel,
    /// 200 with a page for browsers.
    Page,
    /// 200 with this in place of the reply.
    Stream(String),
    HangBefore,
    HangInside,
    /// The connection breaks inside the first call.
    CutInCall,
    /// Everything but the end comes, and the connection closes as it should.
    EndMissing,
    /// A proper end, and nothing before it.
    Empty,
    InvalidJson,
    /// The limit is reached inside the arguments of the last call.
    ArgumentsCut,
    UnknownTool,
    /// Values of other types than the script's.
    WrongTypes,
    /// The first call so many times, all with the same id where the protocol has ids.
    Parallel(usize),
}

impl Fault {
    /// The reply as this fault changes it.
    pub(crate) fn bend(&self, reply: &Reply) -> Reply {
        let mut reply = reply.clone();
        match self {
            Self::Empty => {
                reply.text.clear();
                reply.reasoning.clear();
                reply.calls.clear();
            }
            Self::UnknownTool => reply.calls.iter_mut().for_each(|call| call.name = "no_such_tool".into()),
            Self::WrongTypes => {
                let values = reply.calls.iter_mut().filter_map(|call| call.arguments.as_object_mut()).flat_map(|fields| fields.values_mut());
                values.for_each(|value| *value = if value.is_string() { json!(7) } else { json!("seven") });
            }
            Self::Parallel(count) => {
                let call = reply.calls.first().cloned().map(|call| Call { id: Some("same".into()), ..call });
                reply.calls = call.into_iter().cycle().take(*count).collect();
            }
            _ => {}
        }
        reply
    }
}
