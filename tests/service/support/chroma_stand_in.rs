//! A server that answers as Chroma does, with one record, for tests of servers that come, go, or lack a collection.

use std::net::{SocketAddr, TcpListener};

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::json;

/// The one collection that it holds.
pub const COLLECTION: &str = "kb_chunks";

/// Serves whoever comes here until it is stopped; must be called on an arbiter.
pub fn serve_chroma(listener: TcpListener) -> (SocketAddr, ServerHandle) {
    let collections = "/api/v2/tenants/default_tenant/databases/default_database/collections";
    let server = HttpServer::new(move || {
        App::new()
            .route(&format!("{collections}/{COLLECTION}"), web::get().to(collection))
            .route(&format!("{collections}/id-1/query"), web::post().to(nearest))
    })
    .workers(1)
    .disable_signals()
    .listen(listener)
    .unwrap();
    let addr = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_rt::spawn(server);
    (addr, handle)
}

async fn collection() -> HttpResponse {
    let configuration = json!({"hnsw": {"space": "cosine"}});
    HttpResponse::Ok().json(json!({"id": "id-1", "dimension": 384, "configuration_json": configuration}))
}

async fn nearest() -> HttpResponse {
    let document = "A dog travels in a pet cabin.";
    HttpResponse::Ok().json(json!({
        "ids": [["chunk-0"]], "documents": [[document]], "metadatas": [[{"source": "pets.pdf"}]], "distances": [[0.2]],
    }))
}
