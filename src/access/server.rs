//! The HTTP server of a port: its limits, its TLS and its headers, around the routes that the port brings.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::{Server, ServiceRequest};
use actix_web::http::KeepAlive;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};
use rustls::ServerConfig;

use super::PortLimits;
use super::connection::watch;
use super::limits::security_headers;

/// How long a peer may take to close a connection, or to take the rest of a refusal.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How a port is served.
pub struct Serving {
    pub workers: usize,
    pub limits: PortLimits,
    /// Plain HTTP without it.
    pub tls: Option<ServerConfig>,
    /// How long callers are waited for at a stop.
    pub shutdown_timeout: Duration,
}

/// Where the server listens, and the server, which runs once it is polled. `answered` is told the path and the status of each answer; `routes` are called
/// once for each worker.
pub fn serve(
    listener: TcpListener,
    serving: Serving,
    answered: impl Fn(&str, u16) + Clone + Send + 'static,
    routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> std::io::Result<(SocketAddr, Server)> {
    let addr = listener.local_addr()?;
    let Serving { workers, limits, tls, shutdown_timeout } = serving;
    let server = HttpServer::new(move || {
        let answered = answered.clone();
        App::new()
            .configure(routes.clone())
            .wrap(from_fn(move |request, next| limits.hold(request, next)))
            .wrap(security_headers())
            .wrap(from_fn(move |request: ServiceRequest, next: Next<_>| {
                let (answered, path) = (answered.clone(), request.path().to_owned());
                async move {
                    let answer = next.call(request).await;
                    let status = match &answer {
                        Ok(answer) => answer.status(),
                        Err(error) => error.as_response_error().status_code(),
                    };
                    answered(&path, status.as_u16());
                    answer
                }
            }))
    })
    .on_connect(move |socket, data| watch(socket, data, limits.longest_idle()))
    .workers(workers)
    .client_request_timeout(limits.head_timeout)
    .tls_handshake_timeout(limits.head_timeout)
    .client_disconnect_timeout(CLOSE_TIMEOUT)
    .keep_alive(KeepAlive::Timeout(limits.keep_alive))
    .disable_signals()
    .shutdown_timeout(shutdown_timeout.as_secs());
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    };
    Ok((addr, server.run()))
}
