//! Asks a provider, waits no longer than it was told, and asks again when that can help. It must not know what a request is for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use futures::StreamExt;
use genai::adapter::AdapterKind;
use genai::chat::{ChatStream, ChatStreamEvent, StopReason, StreamEnd};
use genai::resolver::{AuthData, Endpoint};
use genai::{Client, ModelIden, ServiceTarget};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::classify::{Asked, Wire};
use super::error::{ModelError, SetupError};
use super::message::{ModelAnswer, ModelRequest};
use super::profile::{Key, KeyReader, KeySource, ModelProfile, Provider};
use super::{Model, Piece, convert};

/// How long to wait, and how often to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub connect_timeout: Duration,
    /// From the request to the first sign of the answer; models that reason take minutes.
    pub first_token_timeout: Duration,
    /// Between two signs of life after that.
    pub idle_timeout: Duration,
    /// Everything together, with failed attempts and pauses.
    pub total_timeout: Duration,
    /// Attempts after the first.
    pub retries: u32,
    pub backoff_base: Duration,
    pub backoff_max: Duration,
    /// The longest pause that a provider may ask for; if it asks for more, the failure is returned at once and says for how long.
    pub retry_after_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            first_token_timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(120),
            total_timeout: Duration::from_secs(1200),
            retries: 4,
            backoff_base: Duration::from_secs(1),
            backoff_max: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(120),
        }
    }
}

/// A model that is reached over HTTP.
pub struct ProviderModel {
    profile: ModelProfile,
    settings: Settings,
    keys: KeyReader,
    client: Client,
}

impl ProviderModel {
    /// Connects to nothing yet. Keys are read from the environment.
    ///
    /// # Errors
    /// [`SetupError::Profile`] with the first of [`ModelProfile::problems`].
    pub fn new(profile: ModelProfile, settings: Settings) -> Result<Self, SetupError> {
        if let Some(problem) = profile.problems().into_iter().next() {
            return Err(SetupError::Profile { name: profile.name, problem });
        }
        let transport = transport(&profile, &settings).map_err(|error| SetupError::Connection(Box::new(error)))?;
        let client = Client::builder().with_reqwest(transport).build().map_err(|error| SetupError::Connection(Box::new(error)))?;
        Ok(Self { profile, settings, keys: KeyReader::environment(), client })
    }

    /// Keys are read by `keys` instead.
    pub fn with_keys(self, keys: KeyReader) -> Self {
        Self { keys, ..self }
    }

    fn target(&self, address: &str, key: Option<&Key>) -> ServiceTarget {
        let adapter = match self.profile.provider {
            Provider::OpenAi => AdapterKind::OpenAI,
            Provider::OpenAiResponses => AdapterKind::OpenAIResp,
            Provider::Anthropic => AdapterKind::Anthropic,
            Provider::Gemini => AdapterKind::Gemini,
            Provider::Ollama => AdapterKind::Ollama,
        };
        ServiceTarget {
            endpoint: Endpoint::from_owned(address),
            // The crate will not ask without a key: servers that need none are told “none”.
            auth: AuthData::from_single(key.map_or("none", Key::expose)),
            model: ModelIden::new(adapter, self.profile.model.as_str()),
        }
    }

    /// One attempt; `heard` says whether the listener was told anything of the answer.
    async fn attempt(
        &self,
        asked: &Asked<'_>,
        request: &ModelRequest,
        on: &(dyn Fn(Piece) + Send + Sync),
        heard: &AtomicBool,
    ) -> Result<Ended, ModelError> {
        let wire = Arc::new(Wire::new());
        let (chat, options) = convert::outgoing(&self.profile, request, asked.key);
        let options = options.with_raw_frame_sink_arc(wire.clone());
        let target = self.target(asked.address, asked.key);
        let begun = Instant::now();
        let sent = quiet(self.client.exec_chat_stream(target, chat, Some(&options))).await;
        let mut stream = sent.map_err(|error| asked.failure(&error, &wire.seen()))?.stream;
        let mut first = None;
        let mut names = Vec::new();
        loop {
            let event = match self.next(asked, &mut stream, &wire, begun, first.is_some()).await? {
                Some(Ok(event)) => event,
                Some(Err(error)) => return Err(asked.failure(&error, &wire.seen())),
                None => return Err(asked.unfinished(&wire.seen())),
            };
            if !matches!(event, ChatStreamEvent::Start | ChatStreamEvent::Heartbeat) {
                first.get_or_insert_with(|| begun.elapsed());
            }
            let piece = match event {
                ChatStreamEvent::Chunk(chunk) => Piece::Text(chunk.content),
                ChatStreamEvent::ReasoningChunk(chunk) => Piece::Reasoning(chunk.content),
                ChatStreamEvent::ToolCallChunk(chunk) => {
                    let call = (chunk.tool_call.call_id, chunk.tool_call.fn_name);
                    if call.1.is_empty() || names.contains(&call) {
                        continue;
                    }
                    names.push(call.clone());
                    Piece::ToolCallStarted { name: call.1 }
                }
                ChatStreamEvent::End(end) => {
                    complete(asked, &end, &wire)?;
                    return Ok(Ended { end, first: first.unwrap_or_default() });
                }
                ChatStreamEvent::Start | ChatStreamEvent::Heartbeat | ChatStreamEvent::ThoughtSignatureChunk(_) => continue,
            };
            heard.store(true, Ordering::Relaxed);
            on(piece);
        }
    }

    /// The next event, in time. Lines that only keep the connection open count as signs of life, but not as the first token.
    async fn next(
        &self,
        asked: &Asked<'_>,
        stream: &mut ChatStream,
        wire: &Wire,
        begun: Instant,
        is_speaking: bool,
    ) -> Result<Option<genai::Result<ChatStreamEvent>>, ModelError> {
        loop {
            let limit = if is_speaking { wire.seen().last + self.settings.idle_timeout } else { begun + self.settings.first_token_timeout };
            match timeout_at(limit, quiet(stream.next())).await {
                Ok(event) => return Ok(event),
                Err(_) if is_speaking && wire.seen().last + self.settings.idle_timeout > Instant::now() => {}
                Err(_) if is_speaking => return Err(asked.late("said nothing more", self.settings.idle_timeout)),
                Err(_) => return Err(asked.late("did not begin to answer", self.settings.first_token_timeout)),
            }
        }
    }

    async fn with_retries(
        &self,
        request: &ModelRequest,
        on: &(dyn Fn(Piece) + Send + Sync),
        deadline: Instant,
        attempts: &AtomicU32,
    ) -> Result<Ended, ModelError> {
        let address = self.profile.address();
        let unkeyed = Asked { profile: &self.profile, address: address.as_str(), key: None };
        let key = match &self.profile.key {
            KeySource::None => None,
            KeySource::Environment(variable) => Some(self.keys.read(variable).ok_or_else(|| unkeyed.missing_key())?),
        };
        let asked = Asked { key: key.as_ref(), ..unkeyed };
        let heard = AtomicBool::new(false);
        let settings = &self.settings;
        let backoff = ExponentialBuilder::default()
            .with_min_delay(settings.backoff_base)
            .with_max_delay(settings.backoff_max)
            .with_max_times(usize::try_from(settings.retries).unwrap_or(usize::MAX))
            .with_jitter();
        let attempt = || {
            attempts.fetch_add(1, Ordering::Relaxed);
            if heard.swap(false, Ordering::Relaxed) {
                on(Piece::Restarted);
            }
            self.attempt(&asked, request, on, &heard)
        };
        attempt
            .retry(backoff)
            .when(|error: &ModelError| error.failure.passes())
            .adjust(|error, pause| {
                // Sooner than a provider asks is in vain, later than there is time for as well.
                let pause = pause?;
                let pause = error.retry_after.filter(|asked| !asked.is_zero()).unwrap_or(pause);
                let is_welcome = error.retry_after.is_none_or(|asked| asked <= settings.retry_after_max);
                (is_welcome && Instant::now() + pause < deadline).then_some(pause)
            })
            .notify(|error, pause| on(Piece::Waiting { attempt: attempts.load(Ordering::Relaxed), pause, why: error.clone() }))
            .await
    }
}

#[async_trait]
impl Model for ProviderModel {
    fn profile(&self) -> &ModelProfile {
        &self.profile
    }

    async fn respond(
        &self,
        request: &ModelRequest,
        on: &(dyn Fn(Piece) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<ModelAnswer, ModelError> {
        let begun = Instant::now();
        let deadline = begun + self.settings.total_timeout;
        let attempts = AtomicU32::new(0);
        let ended = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(ModelError::cancelled()),
            ended = timeout_at(deadline, self.with_retries(request, on, deadline, &attempts)) => ended,
        };
        let Ok(ended) = ended else {
            let address = self.profile.address();
            let asked = Asked { profile: &self.profile, address: address.as_str(), key: None };
            return Err(asked.late("gave no complete answer", self.settings.total_timeout));
        };
        let Ended { end, first } = ended?;
        let (parts, usage, stop) = convert::incoming(end, self.profile.provider, convert::call_ids(&request.messages));
        let attempts = attempts.load(Ordering::Relaxed);
        Ok(ModelAnswer { parts, usage, stop, latency_to_first: first, latency_total: begun.elapsed(), attempts })
    }
}

struct Ended {
    end: StreamEnd,
    first: Duration,
}

/// An end is only one when the provider gave a reason: for three protocols the crate makes one up when the connection closes.
fn complete(asked: &Asked<'_>, end: &StreamEnd, wire: &Wire) -> Result<(), ModelError> {
    let seen = wire.seen();
    let Some(reason) = &end.captured_stop_reason else {
        return Err(asked.unfinished(&seen));
    };
    if seen.unreadable {
        // One protocol's reader skips what it cannot read: a piece of the answer is missing.
        return Err(asked.unreadable());
    }
    let is_filtered = matches!(reason, StopReason::ContentFilter(_)) || seen.refused || seen.blocked;
    if is_filtered {
        return Err(asked.filtered(end.captured_first_text()));
    }
    let is_empty = end.captured_content.as_ref().is_none_or(|content| content.is_empty());
    if is_empty && matches!(reason, StopReason::Completed(_)) {
        return Err(asked.silent());
    }
    Ok(())
}

/// The crate writes servers' answers into the log, and an answer may repeat a key: its own words are dropped, ours are not.
fn quiet<F: Future>(future: F) -> tracing::instrument::WithDispatch<F> {
    future.with_subscriber(NoSubscriber::new())
}

/// TLS by rustls with `ring`, which the rest of Grace has already: chosen here, once for the process, because the transport is built
/// without any. A choice that was made before stays.
fn transport(profile: &ModelProfile, settings: &Settings) -> Result<reqwest::Client, reqwest::Error> {
    static PROVIDER: std::sync::Once = std::sync::Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let address = profile.address();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("grace/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(settings.connect_timeout)
        // A redirect would take along the key headers that the transport does not know to be secret.
        .redirect(reqwest::redirect::Policy::none());
    if address.scheme() == "http" {
        // Certificates are not needed, and may not be there in a small container.
        builder = builder.tls_certs_only([]);
    }
    let is_local = match address.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(number)) => number.is_loopback(),
        Some(url::Host::Ipv6(number)) => number.is_loopback(),
        None => false,
    };
    if is_local {
        builder = builder.no_proxy();
    }
    builder.build()
}
