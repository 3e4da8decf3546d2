//! A protocol that speaks, through the actor and the task that holds the socket.

use super::*;

const HEARTBEAT: Duration = Duration::from_secs(20);

/// Speaks as hubs want it that send nothing by themselves: connects, subscribes to each contact that it is told of, and
/// sends heartbeats. Panics on one frame.
#[derive(Default)]
struct HubProtocol {
    next_heartbeat: Option<Instant>,
}

fn command(command: &str, headers: &Value) -> Step {
    Step { send: vec![json!({"command": command, "headers": headers, "body": null}).to_string()], ..Step::default() }
}

impl StreamProtocol for HubProtocol {
    fn on_open(&mut self, now: Instant) -> Step {
        self.next_heartbeat = Some(now + HEARTBEAT);
        command("CONNECT", &json!({"version": 1}))
    }

    fn on_frame(&mut self, frame: &Map<String, Value>, _now: Instant) -> Result<Step, FrameError> {
        let body = &frame["body"];
        match frame["command"].as_str() {
            Some("CONTACT") => Ok(command("SUBSCRIBE", &json!({"topic": body["contactId"]}))),
            Some("TRANSCRIPTS") => {
                let interaction = body["contactId"].as_str().and_then(|id| id.parse().ok());
                let said = body["messages"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let fragment = |text: &str| StreamEvent::Fragment {
                    interaction: interaction.clone(),
                    participant: Participant::Customer,
                    text: text.into(),
                };
                Ok(Step { heard: said.map(fragment).collect(), ..Step::default() })
            }
            other => panic!("injected: {other:?}"),
        }
    }

    fn on_timer(&mut self, now: Instant) -> Step {
        self.next_heartbeat = Some(now + HEARTBEAT);
        command("HEARTBEAT", &json!({}))
    }

    fn next_timer(&self) -> Option<Instant> {
        self.next_heartbeat
    }
}

/// Which command went to which socket.
fn said(listened: &Listened) -> Vec<(usize, String)> {
    let command = |text: &str| serde_json::from_str::<Value>(text).unwrap()["command"].as_str().unwrap().to_owned();
    listened.script.said.borrow().iter().map(|(socket, text)| (*socket, command(text))).collect()
}

#[actix::test]
async fn a_protocol_that_speaks_is_heard_on_the_socket_that_it_speaks_to() {
    pause();
    let (to_first, first) = async_channel::unbounded();
    let (to_second, second) = async_channel::unbounded();
    let (received, inbox) = bounded(64);
    let listened = Listened::start(received, vec![Peer::Relays(first), Peer::Relays(second)]);
    let bench = Bench::expecting("stream_listener", 1);
    // A Buffer that is behind must not change the order of what one frame tells.
    let ((buffer, heard), (feedback, _)) = (bounded(1), bounded(1));
    let (profile, metrics, cell) = (ProfileName::new("acme"), bench.metrics.clone(), Arc::clone(&bench.cell));
    let protocol = Box::new(|| Box::new(HubProtocol::default()) as Box<dyn StreamProtocol>);
    let deps = StreamListenerDeps { profile, protocol, inbox, buffer, feedback, metrics, cell };
    let address = bench.supervise(StreamListener::new(deps));
    let is_said = |socket: usize, command: &str, times: usize| {
        said(&listened).iter().filter(|(to, said)| *to == socket && said == command).count() == times
    };

    until("it connects", || is_said(1, "CONNECT", 1)).await;
    let contact = json!({"command": "CONTACT", "body": {"contactId": "c-1"}}).to_string();
    to_first.send(contact.clone()).await.unwrap();
    until("it subscribes", || is_said(1, "SUBSCRIBE", 1)).await;
    let transcripts = json!({
        "command": "TRANSCRIPTS", "body": {"contactId": "c-1", "messages": ["my bill", "is", "wrong", "again"]},
    });
    to_first.send(transcripts.to_string()).await.unwrap();
    let connected = take(&heard, 1).await.remove(0).word;
    assert!(matches!(connected, StreamWord::Connected), "{connected:?}");
    let words: Vec<_> = take(&heard, 4).await.iter().map(|heard| format!("{:?}", heard.word)).collect();
    let sizes = ["7 bytes", "2 bytes", "5 bytes", "5 bytes"];
    assert!(words.iter().zip(sizes).all(|(word, size)| word.contains("c-1") && word.contains(size)), "{words:?}");
    until("two heartbeats", || is_said(1, "HEARTBEAT", 2)).await;

    // A restart keeps the socket; the protocol is another one, and begins its conversation with the hub anew.
    to_first.send(r#"{"command":"BAD","body":null}"#.to_owned()).await.unwrap();
    until("it connects once more", || is_said(1, "CONNECT", 2)).await;
    until("two more heartbeats", || is_said(1, "HEARTBEAT", 4)).await;
    bench.assert_recovered(&address);
    assert_eq!(listened.num_attempts(), 1);

    // Another socket is another conversation with the hub.
    drop(to_first);
    until("it connects again", || is_said(2, "CONNECT", 1)).await;
    to_second.send(contact).await.unwrap();
    until("it subscribes again", || is_said(2, "SUBSCRIBE", 1)).await;
    until("a heartbeat on the new socket", || is_said(2, "HEARTBEAT", 1)).await;
    assert!(is_said(1, "HEARTBEAT", 4) && is_said(1, "CONNECT", 2), "{:?}", said(&listened));
    assert_eq!(said(&listened)[0], (1, "CONNECT".to_owned()));
}
