//! A call that a port answers, with all that is documented of it.

use actix_web::http::Method;
use actix_web::http::header::ALLOW;
use actix_web::{HttpRequest, HttpResponse, Resource, Route, web};
// `OpenApi`'s derive takes paths as literals; ours come from the lists of routes, so what it would call is called here.
use utoipa::__dev::{SchemaReferences, Tags};
use utoipa::Path;
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::{RefOr, Schema, Server};

use crate::detail::Detail;

/// See the module.
pub struct Call {
    address: String,
    pub(super) method: HttpMethod,
    pub(super) operation: Operation,
    /// What its bodies refer to, by name.
    pub(super) schemas: Vec<(String, RefOr<Schema>)>,
    route: Route,
}

impl Call {
    /// The call that the attribute of a handler documents; `answered` puts this handler behind it.
    pub fn of<D: Path + SchemaReferences + Tags<'static>>(answered: impl FnOnce(Route) -> Route) -> Self {
        let mut schemas = Vec::new();
        D::schemas(&mut schemas);
        let method = D::methods().into_iter().next().unwrap_or(HttpMethod::Get);
        let route = answered(web::method(http_method(&method)));
        let mut operation = D::operation();
        operation.tags = Some(D::tags().into_iter().map(str::to_owned).collect());
        Self { address: D::path(), method, operation, schemas, route }
    }

    /// Where it is, as the router reads it: a part in braces may say what it has to look like.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where it is, as the document says it: `/{kind:one|other}/x` is `/{kind}/x`.
    pub fn path(&self) -> String {
        let part = |part: &str| match part.split_once(':') {
            Some((name, _)) if name.starts_with('{') => format!("{name}}}"),
            _ => part.to_owned(),
        };
        self.address.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    /// Below another server than the other calls of its port.
    #[must_use]
    pub fn served_at(mut self, server: &str) -> Self {
        self.operation.servers = Some(vec![Server::new(server)]);
        self
    }

    /// What answers at this address; it refuses every other method.
    pub fn resource(self, address: &str) -> Resource {
        let allowed = http_method(&self.method);
        let refused = web::to(move |request: HttpRequest| {
            let allowed = allowed.clone();
            async move { wrong_method(&request, &allowed) }
        });
        web::resource(address).route(self.route).default_service(refused)
    }
}

fn http_method(method: &HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Delete => Method::DELETE,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Trace => Method::TRACE,
    }
}

fn wrong_method(request: &HttpRequest, allowed: &Method) -> HttpResponse {
    let detail = format!("{} is not the method of this route, {allowed} is", request.method());
    HttpResponse::MethodNotAllowed().insert_header((ALLOW, allowed.as_str())).json(Detail::new(detail))
}
