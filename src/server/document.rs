//! The API's description: every endpoint is added to the router and to the OpenAPI document in one step, so neither can lack what the other has.

use axum::{
    Router,
    routing::{MethodFilter, MethodRouter},
};
use grace_domain::{problem::FieldError, status::Status};
use utoipa::{
    ToSchema,
    openapi::{
        ComponentsBuilder, Content, ContentBuilder, HttpMethod, InfoBuilder, License, OpenApi, OpenApiBuilder, PathsBuilder, Ref, RefOr, Required,
        ResponseBuilder, Schema,
        path::{OperationBuilder, ParameterBuilder, ParameterIn, PathItem},
        request_body::RequestBodyBuilder,
        schema::{ArrayBuilder, KnownFormat, Object, ObjectBuilder, SchemaFormat, Type},
    },
};

use super::ServerState;

/// What one endpoint takes and answers.
pub struct Endpoint {
    operation: OperationBuilder,
    schemas: Vec<(String, RefOr<Schema>)>,
}

/// An endpoint of group `tag`; `summary` is a sentence for people.
pub fn endpoint(tag: &str, summary: &str) -> Endpoint {
    Endpoint { operation: OperationBuilder::new().tag(tag).summary(Some(summary)), schemas: Vec::new() }
}

impl Endpoint {
    /// It takes a JSON body.
    pub fn takes<T: ToSchema>(mut self) -> Self {
        let content = Content::new(Some(self.named::<T>()));
        self.operation =
            self.operation.request_body(Some(RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True)).build()));
        self
    }

    /// It takes `T` as a JSON body, which may be left out.
    pub fn may_take<T: ToSchema>(mut self) -> Self {
        let content = Content::new(Some(self.named::<T>()));
        self.operation =
            self.operation.request_body(Some(RequestBodyBuilder::new().content("application/json", content).required(Some(Required::False)).build()));
        self
    }

    /// It takes a form with files.
    pub fn takes_files(mut self) -> Self {
        let file = ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary))).build();
        let files = ArrayBuilder::new().items(RefOr::T(Schema::Object(file)));
        let form = ObjectBuilder::new().property("files", files).required("files").build();
        let content = Content::new(Some(RefOr::T(Schema::Object(form))));
        let body = RequestBodyBuilder::new().content("multipart/form-data", content).required(Some(Required::True)).build();
        self.operation = self.operation.request_body(Some(body));
        self
    }

    /// It takes the fields of `T` as query parameters.
    pub fn query<T: ToSchema>(mut self) -> Self {
        T::schemas(&mut self.schemas);
        if let RefOr::T(Schema::Object(Object { properties, .. })) = T::schema() {
            for (name, schema) in properties {
                let parameter =
                    ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query).required(Required::False).schema(Some(schema)).build();
                self.operation = self.operation.parameter(parameter);
            }
        }
        self
    }

    /// It answers with JSON.
    pub fn answers<T: ToSchema>(mut self, status: u16) -> Self {
        let schema = self.named::<T>();
        self.respond(status, "application/json", Content::new(Some(schema)))
    }

    /// It answers with one page of a list.
    pub fn answers_page<T: ToSchema>(mut self) -> Self {
        let items = self.named::<T>();
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let page = ObjectBuilder::new()
            .property("items", ArrayBuilder::new().items(items))
            .property("total", ObjectBuilder::new().schema_type(Type::Integer))
            .property("next", text)
            .required("items")
            .required("total");
        self.respond(200, "application/json", Content::new(Some(RefOr::T(Schema::Object(page.build())))))
    }

    /// It answers with something else than JSON.
    pub fn answers_with(self, status: u16, content_type: &str) -> Self {
        let text = Schema::Object(ObjectBuilder::new().schema_type(Type::String).build());
        self.respond(status, content_type, ContentBuilder::new().schema(Some(RefOr::T(text))).build())
    }

    /// It answers without a body.
    pub fn answers_nothing(mut self) -> Self {
        self.operation = self.operation.response("204", ResponseBuilder::new().description("Done."));
        self
    }

    fn respond(mut self, status: u16, content_type: &str, content: Content) -> Self {
        let response = ResponseBuilder::new().description("Success.").content(content_type, content);
        self.operation = self.operation.response(status.to_string(), response);
        self
    }

    /// A reference to `T` among the components.
    fn named<T: ToSchema>(&mut self) -> RefOr<Schema> {
        T::schemas(&mut self.schemas);
        let name = T::name();
        self.schemas.push((name.to_string(), T::schema()));
        RefOr::Ref(Ref::from_schema_name(name))
    }
}

/// A router that describes itself.
pub struct Documented {
    router: Router<ServerState>,
    paths: PathsBuilder,
    components: ComponentsBuilder,
}

impl Documented {
    pub fn new() -> Self {
        let mut problem = Endpoint { operation: OperationBuilder::new(), schemas: Vec::new() };
        let _ = (problem.named::<FieldError>(), problem.named::<Status>(), problem.named::<ProblemDocument>());
        Self { router: Router::new(), paths: PathsBuilder::new(), components: ComponentsBuilder::new().schemas_from_iter(problem.schemas) }
    }

    pub fn get<H, T>(self, path: &str, handler: H, endpoint: Endpoint) -> Self
    where
        H: axum::handler::Handler<T, ServerState>,
        T: 'static,
    {
        self.add(HttpMethod::Get, path, axum::routing::on(MethodFilter::GET, handler), endpoint)
    }

    pub fn post<H, T>(self, path: &str, handler: H, endpoint: Endpoint) -> Self
    where
        H: axum::handler::Handler<T, ServerState>,
        T: 'static,
    {
        self.add(HttpMethod::Post, path, axum::routing::post(handler), endpoint)
    }

    pub fn delete<H, T>(self, path: &str, handler: H, endpoint: Endpoint) -> Self
    where
        H: axum::handler::Handler<T, ServerState>,
        T: 'static,
    {
        self.add(HttpMethod::Delete, path, axum::routing::delete(handler), endpoint)
    }

    fn add(mut self, method: HttpMethod, path: &str, handler: MethodRouter<ServerState>, endpoint: Endpoint) -> Self {
        let mut operation = endpoint.operation;
        for name in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
            let text = Schema::Object(ObjectBuilder::new().schema_type(Type::String).build());
            let parameter = ParameterBuilder::new()
                .name(name.trim_start_matches('*'))
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(RefOr::T(text)))
                .build();
            operation = operation.parameter(parameter);
        }
        let refusal = ContentBuilder::new().schema(Some(RefOr::Ref(Ref::from_schema_name("ProblemDocument")))).build();
        let refusal =
            ResponseBuilder::new().description("A refusal; `code` is stable, `errors` names fields.").content("application/problem+json", refusal);
        operation = operation.response("default", refusal);
        self.paths = self.paths.path(path.replace("{*", "{"), PathItem::new(method, operation.build()));
        self.components = self.components.schemas_from_iter(endpoint.schemas);
        self.router = self.router.route(path, handler);
        self
    }

    /// The router, and the document as JSON.
    pub fn finish(self) -> (Router<ServerState>, OpenApi) {
        let info = InfoBuilder::new()
            .title("Grace")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some("From a sentence to a tested, deployed service."))
            .license(Some(License::new("Apache-2.0")))
            .build();
        let document = OpenApiBuilder::new().info(info).paths(self.paths.build()).components(Some(self.components.build())).build();
        (self.router, document)
    }
}

/// What every refusal looks like (RFC 9457).
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, written by `refusal`")]
pub struct ProblemDocument {
    r#type: String,
    title: String,
    status: u16,
    /// For people: what is wrong, and the remedy.
    detail: String,
    /// Stable, for programs.
    code: String,
    errors: Option<Vec<FieldError>>,
    /// The build's status when it is what forbids the request.
    current_status: Option<Status>,
}
