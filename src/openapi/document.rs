//! The document of a port: its calls, with what every call of a port asks for and may be refused with.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use actix_web::web::Bytes;
use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, Paths};
use utoipa::openapi::schema::{ComponentsBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::Tag;
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, Info, InfoBuilder, LicenseBuilder, OpenApiBuilder, Ref, RefOr, Response,
    ResponseBuilder, Server,
};

use super::Call;
use crate::access::Right;
use crate::detail::Detail;

/// The two headers that a key may come in.
const SCHEMES: [&str; 2] = ["bearer", "x_api_key"];

/// What every call may be answered, by status and name.
const OF_EVERY_CALL: [Refusal; 1] = [("431", "HeadTooLong", "the request's head is longer than 16 KiB")];
/// What a call with a body may be answered as well.
const OF_BODIES: [Refusal; 2] = [
    ("408", "BodyTooSlow", "the body did not come in time (`access.body_timeout`)"),
    ("413", "BodyTooLarge", "the body is larger than `max_body_bytes` of the port"),
];
/// What a call that asks for a key may be answered as well.
const OF_KEYS: [Refusal; 3] = [
    ("401", "NoKey", "no key, or one that nobody knows"),
    (
        "403",
        "NoRight",
        "the key lacks the right or is for other profiles; or no key is asked for and the request comes from a page of another \
         site, or by a name that is not this machine's; the detail says which",
    ),
    ("429", "TooMany", "the key has sent more requests than its `rate_limit`"),
];

/// A status, the name of its component, and what it says.
type Refusal = (&'static str, &'static str, &'static str);

/// What a port is.
pub struct About {
    pub title: &'static str,
    /// Markdown.
    pub description: &'static str,
    /// Groups of calls, each with what they are about.
    pub tags: &'static [(&'static str, &'static str)],
    pub servers: Vec<Server>,
}

/// A document as it is served.
pub struct Document {
    json: Bytes,
}

impl Document {
    /// Makes the document of these calls. Each asks for one of its rights; a call without rights asks for no key.
    pub fn new(about: About, calls: impl IntoIterator<Item = (Call, &'static [Right])>) -> serde_json::Result<Self> {
        let (mut paths, mut components) = (Paths::new(), components());
        for (call, rights) in calls {
            let path = call.path();
            components = components.schemas_from_iter(call.schemas);
            paths.add_path_operation(path, vec![call.method], completed(call.operation, rights));
        }
        let document = OpenApiBuilder::new().info(info(&about)).servers(Some(about.servers)).paths(paths);
        let document = document.components(Some(components.build())).tags(Some(about.tags.iter().map(tag))).build();
        Ok(Self { json: document.to_json()?.into() })
    }

    /// The document.
    pub fn json(&self) -> Bytes {
        self.json.clone()
    }
}

fn info(about: &About) -> Info {
    let licence = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build();
    let info = InfoBuilder::new().title(about.title).version(env!("CARGO_PKG_VERSION"));
    info.description(Some(about.description)).license(Some(licence)).build()
}

fn tag((name, description): &(&str, &str)) -> Tag {
    let mut tag = Tag::new(*name);
    tag.description = Some((*description).to_owned());
    tag
}

/// What every call may refer to.
fn components() -> ComponentsBuilder {
    let mut components = ComponentsBuilder::new().schema_from::<Detail>();
    for (status, name, description) in OF_EVERY_CALL.iter().chain(&OF_BODIES).chain(&OF_KEYS) {
        components = components.response(*name, refusal(status, description));
    }
    for (name, scheme) in SCHEMES.into_iter().zip(schemes()) {
        components = components.security_scheme(name, scheme);
    }
    components
}

/// With what its port adds to every call.
fn completed(mut operation: Operation, rights: &[Right]) -> Operation {
    let mut refusals = OF_EVERY_CALL.to_vec();
    if operation.request_body.is_some() {
        refusals.extend(OF_BODIES);
    }
    if !rights.is_empty() {
        refusals.extend(OF_KEYS);
        // One of them is enough: a key with any of the rights, in either header.
        let each = rights.iter().flat_map(|right| SCHEMES.map(|scheme| (scheme, right.name())));
        operation.security = Some(each.map(|(scheme, right)| SecurityRequirement::new(scheme, [right])).collect());
    }
    for (status, name, description) in refusals {
        match operation.responses.responses.entry(status.to_owned()) {
            Entry::Vacant(place) => drop(place.insert(Ref::from_response_name(name).into())),
            // A call's own reasons come first.
            Entry::Occupied(mut own) => {
                if let RefOr::T(response) = own.get_mut() {
                    response.description = format!("{}; or {description}", response.description);
                }
            }
        }
    }
    operation
}

/// Responses that say what was wrong, by status.
pub fn refusals(table: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    table.iter().map(|(status, description)| ((*status).to_owned(), refusal(status, description).into())).collect()
}

fn refusal(status: &str, description: &str) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Detail::name()))).build();
    let response = ResponseBuilder::new().description(description).content("application/json", content);
    let comes_back = matches!(status, "429" | "503");
    if !comes_back {
        return response.build();
    }
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).build();
    let header = HeaderBuilder::new().schema(seconds).description(Some("after how many seconds to ask again"));
    response.header("Retry-After", header.build()).build()
}

fn schemes() -> [SecurityScheme; 2] {
    let bearer =
        HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A key, as `Authorization: Bearer KEY`"));
    let header = ApiKeyValue::with_description("X-API-Key", "The same key in a header of its own");
    [SecurityScheme::Http(bearer.build()), SecurityScheme::ApiKey(ApiKey::Header(header))]
}
