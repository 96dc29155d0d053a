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
use grace_domain::model::{KeyPlace, ModelProfile, Provider, Usage};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;
use url::Url;

use super::classify::{Asked, Wire, is_unconnected};
use super::error::{ModelError, SetupError};
use super::key::{Key, KeyReader};
use super::message::{ModelAnswer, ModelRequest};
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

/// A model that is reached over HTTP. Copies share its connections.
#[derive(Clone)]
pub struct ProviderModel {
    profile: ModelProfile,
    address: Url,
    settings: Settings,
    keys: KeyReader,
    client: Client,
}

impl ProviderModel {
    /// Connects to nothing yet. Keys are read from the environment.
    ///
    /// # Errors
    /// [`SetupError::Address`] when `base_url` is none; [`SetupError::Connection`] when this machine cannot make any.
    pub fn new(profile: ModelProfile, settings: Settings) -> Result<Self, SetupError> {
        let address = address(&profile).map_err(|cause| SetupError::Address { name: profile.name.clone(), cause })?;
        let transport = transport(&address, &settings).map_err(|error| SetupError::Connection(Box::new(error)))?;
        let client = Client::builder().with_reqwest(transport).build().map_err(|error| SetupError::Connection(Box::new(error)))?;
        Ok(Self { profile, address, settings, keys: KeyReader::environment(), client })
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

    fn asked<'a>(&'a self, key: Option<&'a Key>) -> Asked<'a> {
        Asked { profile: &self.profile, address: self.address.as_str(), key }
    }

    /// One attempt, counted in `tries`.
    async fn attempt(
        &self,
        asked: &Asked<'_>,
        request: &ModelRequest,
        on: &(dyn Fn(Piece) + Send + Sync),
        tries: &Tries,
    ) -> Result<Ended, ModelError> {
        let wire = Arc::new(Wire::new());
        let (chat, options) = convert::outgoing(&self.profile, request, asked.key);
        let options = options.with_raw_frame_sink_arc(wire.clone());
        let target = self.target(asked.address, asked.key);
        let failure = |error: &genai::Error| {
            if is_unconnected(error) {
                tries.requests.fetch_sub(1, Ordering::Relaxed);
            }
            asked.failure(error, &wire.seen())
        };
        tries.requests.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        let sent = quiet(self.client.exec_chat_stream(target, chat, Some(&options))).await;
        let mut stream = sent.map_err(|error| failure(&error))?.stream;
        let mut first = None;
        let mut names = Vec::new();
        loop {
            let event = match self.next(asked, &mut stream, &wire, begun, first.is_some()).await? {
                Some(Ok(event)) => event,
                Some(Err(error)) => return Err(failure(&error)),
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
            tries.heard.store(true, Ordering::Relaxed);
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
        tries: &Tries,
    ) -> Result<Ended, ModelError> {
        let key = match self.profile.key() {
            None => None,
            Some(KeyPlace::Variable(name)) => Some(self.keys.variable(name).ok_or_else(|| self.asked(None).missing_variable(name))?),
            Some(KeyPlace::Secret(name)) => {
                let read = self.keys.secret(name, &self.profile.name).await;
                Some(read.map_err(|why| self.asked(None).missing_secret(&why))?)
            }
        };
        let asked = self.asked(key.as_ref());
        let settings = &self.settings;
        let backoff = ExponentialBuilder::default()
            .with_min_delay(settings.backoff_base)
            .with_max_delay(settings.backoff_max)
            .with_max_times(usize::try_from(settings.retries).unwrap_or(usize::MAX))
            .with_jitter();
        let attempt = || {
            tries.attempts.fetch_add(1, Ordering::Relaxed);
            if tries.heard.swap(false, Ordering::Relaxed) {
                on(Piece::Restarted);
            }
            self.attempt(&asked, request, on, tries)
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
            .notify(|error, pause| on(Piece::Waiting { attempt: tries.attempts.load(Ordering::Relaxed), pause, why: error.clone() }))
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
        let tries = Tries::default();
        let ended = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(ModelError::cancelled()),
            ended = timeout_at(deadline, self.with_retries(request, on, deadline, &tries)) => ended,
        };
        let Ok(ended) = ended else {
            return Err(self.asked(None).late("gave no complete answer", self.settings.total_timeout));
        };
        let Ended { end, first } = ended?;
        let (parts, usage, stop) = convert::incoming(end, self.profile.provider, convert::call_ids(&request.messages));
        let usage = Usage { requests: tries.requests.into_inner(), ..usage };
        let attempts = tries.attempts.into_inner();
        Ok(ModelAnswer { parts, usage, stop, latency_to_first: first, latency_total: begun.elapsed(), attempts })
    }
}

/// What was tried for one answer.
#[derive(Default)]
struct Tries {
    attempts: AtomicU32,
    /// Attempts that reached the provider.
    requests: AtomicU32,
    /// Whether the listener was told anything of the answer since the last attempt began.
    heard: AtomicBool,
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

/// Where requests go, with a slash at the end: operations are joined to it.
fn address(profile: &ModelProfile) -> Result<Url, url::ParseError> {
    let mut address = Url::parse(profile.base_url.as_deref().unwrap_or(profile.provider.default_base_url()))?;
    if !address.path().ends_with('/') {
        let path = format!("{}/", address.path());
        address.set_path(&path);
    }
    Ok(address)
}

/// TLS by rustls with `ring`, which the rest of Grace has already: chosen here, once for the process, because the transport is built
/// without any. A choice that was made before stays.
fn transport(address: &Url, settings: &Settings) -> Result<reqwest::Client, reqwest::Error> {
    static PROVIDER: std::sync::Once = std::sync::Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
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

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(provider: Provider, base_url: Option<&str>) -> ModelProfile {
        ModelProfile {
            name: "a".into(),
            provider,
            base_url: base_url.map(str::to_owned),
            model: "m".into(),
            key_variable: None,
            key_secret: None,
            context_tokens: 100_000,
            price: None,
            effort: None,
        }
    }

    #[test]
    fn requests_go_to_the_profiles_address_or_to_the_providers_own() {
        for provider in Provider::ALL {
            assert_eq!(address(&profile(*provider, None)).unwrap().as_str(), provider.default_base_url());
        }
        for (given, used) in [
            ("http://localhost:8000", "http://localhost:8000/"),
            ("http://localhost:8000/v1", "http://localhost:8000/v1/"),
            ("http://localhost:8000/v1/", "http://localhost:8000/v1/"),
        ] {
            assert_eq!(address(&profile(Provider::OpenAi, Some(given))).unwrap().as_str(), used);
        }
        let Err(error) = ProviderModel::new(profile(Provider::OpenAi, Some("localhost")), Settings::default()) else { panic!("it was taken") };
        assert!(error.to_string().contains("“base_url” of the model profile “a”"), "{error}");
    }

    #[tokio::test]
    async fn an_attempt_that_could_not_connect_is_no_request() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/", listener.local_addr().unwrap());
        let model = ProviderModel::new(profile(Provider::OpenAi, Some(&base_url)), Settings::default()).unwrap();
        let tries = Tries::default();
        let heard_and_left = async { drop(listener.accept().await.unwrap()) };
        let (request, asked) = (ModelRequest::default(), model.asked(None));
        let (attempt, ()) = tokio::join!(model.attempt(&asked, &request, &|_| (), &tries), heard_and_left);
        assert!(attempt.is_err());
        assert_eq!(tries.requests.load(Ordering::Relaxed), 1);
        drop(listener);
        let attempt = model.attempt(&asked, &request, &|_| (), &tries).await;
        assert!(attempt.is_err());
        assert_eq!(tries.requests.load(Ordering::Relaxed), 1);
    }
}
