//! Whose words ask: the roles of those who take part in an interaction.

use super::Participant;

/// Machines, and people who listen in.
const CONTEXT: [&str; 12] = [
    "system",
    "bot",
    "chatbot",
    "voicebot",
    "virtual_agent",
    "virtual_assistant",
    "ivr",
    "workflow",
    "announcement",
    "supervisor",
    "coach",
    "monitor",
];

/// Roles by what their words are. Whoever is in neither list is the customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles {
    agent: Vec<String>,
    context: Vec<String>,
}

impl Roles {
    /// Roles as people write them: case, spaces and marks make no difference.
    pub fn new(agent: impl IntoIterator<Item: AsRef<str>>, context: impl IntoIterator<Item: AsRef<str>>) -> Self {
        Self {
            agent: agent.into_iter().map(|role| plain(role.as_ref())).collect(),
            context: context.into_iter().map(|role| plain(role.as_ref())).collect(),
        }
    }

    /// Who it is that has this role.
    pub(super) fn participant(&self, role: &str) -> Participant {
        let role = plain(role);
        if self.agent.contains(&role) {
            Participant::Agent
        } else if self.context.contains(&role) {
            Participant::Context
        } else {
            Participant::Customer
        }
    }
}

impl Default for Roles {
    fn default() -> Self {
        Self::new(["agent"], CONTEXT)
    }
}

fn plain(role: &str) -> String {
    role.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::Participant::{Agent, Context, Customer};
    use super::*;

    #[test]
    fn a_role_is_known_however_it_is_written() {
        let roles = Roles::default();
        for (role, expected) in [
            ("AGENT", Agent),
            ("Agent", Agent),
            ("CUSTOMER", Customer),
            ("system", Context),
            ("BOT", Context),
            ("IVR", Context),
            ("Supervisor", Context),
            ("VIRTUAL_AGENT", Context),
            ("virtualAgent", Context),
            ("Virtual-Agent ", Context),
            ("caller", Customer),
            ("", Customer),
        ] {
            assert_eq!(roles.participant(role), expected, "{role}");
        }
    }

    #[test]
    fn lists_of_ones_own_take_the_place_of_the_usual_ones() {
        let roles = Roles::new(["Berater", "supervisor"], ["ansage"]);
        let participants = ["BERATER", "supervisor", "Ansage", "agent", "bot"].map(|role| roles.participant(role));
        assert_eq!(participants, [Agent, Agent, Context, Customer, Customer]);
    }
}
