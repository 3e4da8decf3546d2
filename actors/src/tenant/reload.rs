//! New settings for tenants in service: their plans, models and limits change, what they hold stays.
//!
//! Everything that can fail comes first, so that all of it is taken up or none. A question that is on its way keeps the tenant
//! that it came in with, and so one plan through all stages.

use std::collections::BTreeMap;
use std::sync::Arc;

use cuecard_engine::ranking::Model;

use super::loading::{LoadError, find_model, versions};
use super::{Profile, Tenant, Tenants};
use crate::decisions::Shadow;
use crate::messages::ProfileName;

/// Tenants with new settings, not in service yet.
pub struct Prepared(Vec<Retold>);

struct Retold {
    before: Arc<Tenant>,
    tenant: Arc<Tenant>,
    model_before: Option<Arc<Model>>,
    model: Option<Arc<Model>>,
}

impl Tenants {
    /// Makes tenants of these profiles, which differ from those in service in nothing that was loaded for them; reads the
    /// models that they name, also where that is the same file as before. Blocks.
    pub fn prepare(&self, profiles: &[Profile]) -> Result<Prepared, LoadError> {
        let known = profiles.iter().filter_map(|profile| Some((profile, self.get(&profile.name)?)));
        known.map(|(profile, tenant)| tenant.retold(profile)).collect::<Result<_, _>>().map(Prepared)
    }

    /// Puts them in service, for questions from now on.
    pub fn take(&self, prepared: Prepared) {
        let mut by_name = BTreeMap::clone(&self.by_name.load());
        for Retold { before, tenant, model_before, model } in prepared.0 {
            if before.profile.rate_limit != tenant.profile.rate_limit {
                tenant.calls.limit_to(tenant.profile.rate_limit);
            }
            // One that was promoted since is newer than what was read.
            if same(tenant.engine.model().as_ref(), model_before.as_ref()) {
                tenant.engine.use_model(model);
            }
            by_name.insert(tenant.name().clone(), tenant);
        }
        self.by_name.store(Arc::new(by_name));
    }
}

impl Prepared {
    /// The profiles that get another model, be it from the same file.
    pub fn other_models(&self) -> impl Iterator<Item = &ProfileName> {
        let version = |model: Option<Arc<Model>>| model.map(|model| model.version.clone());
        let is_other = move |retold: &&Retold| version(retold.before.engine.model()) != version(retold.model.clone());
        self.0.iter().filter(is_other).map(|retold| retold.tenant.name())
    }
}

impl Tenant {
    fn retold(self: Arc<Self>, profile: &Profile) -> Result<Retold, LoadError> {
        let shadow = self.shadow.as_ref().zip(profile.shadow.as_ref());
        let shadow = shadow.map(|(before, plan)| Shadow { engine: before.engine.clone(), plan: Arc::clone(plan) });
        let model_before = self.engine.model();
        let running = model_before.as_ref().map(|model| model.version.as_str());
        let model = find_model(profile, &self.models, &self.engine, running)?;
        let tenant = Self {
            profile: profile.clone(),
            engine: self.engine.clone(),
            shadow,
            knowledge: self.knowledge.clone(),
            calls: Arc::clone(&self.calls),
            health: Arc::clone(&self.health),
            models: self.models.clone(),
            versions: Arc::new(versions(profile, &self.engine)),
        };
        Ok(Retold { before: self, tenant: Arc::new(tenant), model_before, model })
    }
}

fn same(one: Option<&Arc<Model>>, other: Option<&Arc<Model>>) -> bool {
    one.map(Arc::as_ptr) == other.map(Arc::as_ptr)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use cuecard_engine::Plan;
    use cuecard_engine::ranking::model::Trained;

    use super::*;
    use crate::tenant::NamedModel;
    use crate::testing::{Recorder, TenantParts, item};

    #[tokio::test]
    async fn a_question_on_its_way_keeps_its_plan_and_the_next_one_gets_the_new() {
        let tenants: Tenants =
            [TenantParts::new("acme").build(), TenantParts::new("other").build()].into_iter().collect();
        let (recorder, seen_elsewhere) = (Recorder::of(tenants.clone()), tenants.clone());
        let under_way = recorder.ticket(&item("acme", "a", 1));
        let acme = ProfileName::new("acme");
        let before = tenants.get(&acme).unwrap();
        let plan = Arc::new(Plan { cards: before.profile.plan.cards + 1, ..(*before.profile.plan).clone() });
        let profile = Profile { plan, ..before.profile.clone() };
        tenants.take(tenants.prepare(std::slice::from_ref(&profile)).unwrap());
        let next = recorder.ticket(&item("acme", "b", 1));
        let cards = |tenant: &Tenant| tenant.profile.plan.cards;
        assert_eq!((cards(under_way.tenant()), cards(next.tenant())), (cards(&before), cards(&before) + 1));
        assert_ne!(before.versions.plan, next.tenant().versions.plan);
        assert_eq!(cards(&seen_elsewhere.get(&acme).unwrap()), cards(&before) + 1);
        assert_eq!(tenants.iter().count(), 2, "what is not named stays as it was");
    }

    #[tokio::test]
    async fn a_model_that_new_settings_name_is_held_against_the_one_in_service() {
        let tenants: Tenants = [TenantParts::new("acme").build()].into_iter().collect();
        let acme = tenants.get(&ProfileName::new("acme")).unwrap();
        let encoder = acme.engine.encoder().model().identity();
        let model = |version: &str, compared_with: Option<&str>| {
            let trained = Trained { compared_with: compared_with.map(str::to_owned), ..Trained::default() };
            Model { version: version.to_owned(), ..Model::untrained(&encoder, 1, trained) }
        };
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("model.json");
        std::fs::write(&file, model("two", Some("one")).written().unwrap()).unwrap();
        let named = Some(NamedModel { file, may_be_unproven: false });
        let profile = Profile { model: named, ..acme.profile.clone() };
        let prepare = || tenants.prepare(std::slice::from_ref(&profile));
        let refused = prepare().err().unwrap().to_string();
        assert!(refused.contains("compared with model one, and the formula runs"), "{refused}");
        acme.engine.use_model(Some(Arc::new(model("one", None))));
        tenants.take(prepare().unwrap());
        assert_eq!(acme.engine.model().unwrap().version, "two");
        tenants.take(prepare().unwrap());
    }
}
