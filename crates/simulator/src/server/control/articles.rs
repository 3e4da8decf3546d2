//! Calls that change the articles while a client polls them.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::{done, found, refused};
use crate::articles::{Article, ArticlesAnswer, Library};
use crate::hub::Hub;

pub(super) fn routes(service: &mut web::ServiceConfig) {
    service
        .route("/articles", web::put().to(replace))
        .route("/articles", web::post().to(answer))
        .route("/articles/{id:.+}", web::put().to(put))
        .route("/articles/{id:.+}", web::delete().to(delete));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    title: String,
    body: String,
    url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answering {
    answer: ArticlesAnswer,
}

/// Many articles take long to write, so that is not done where requests are answered.
async fn change(
    hub: web::Data<Hub>,
    make: impl FnOnce(&Library, u64) -> Option<Library> + Send + 'static,
) -> HttpResponse {
    match web::block(move || hub.change_articles(make)).await {
        Ok(changed) => found(changed, "no article of that id"),
        Err(error) => refused(500, &error.to_string()),
    }
}

async fn replace(hub: web::Data<Hub>, articles: web::Json<Vec<Article>>) -> HttpResponse {
    change(hub, move |library, now| Some(library.replace(articles.into_inner(), now))).await
}

async fn put(hub: web::Data<Hub>, id: web::Path<String>, content: web::Json<Content>) -> HttpResponse {
    let Content { title, body, url } = content.into_inner();
    let article = Article { id: id.into_inner(), title, body, url };
    change(hub, move |library, now| Some(library.put(article, now))).await
}

async fn delete(hub: web::Data<Hub>, id: web::Path<String>) -> HttpResponse {
    change(hub, move |library, now| library.delete(&id, now)).await
}

async fn answer(hub: web::Data<Hub>, answering: web::Json<Answering>) -> HttpResponse {
    hub.change_articles(|library, now| Some(library.answering(answering.answer, now)));
    done()
}
