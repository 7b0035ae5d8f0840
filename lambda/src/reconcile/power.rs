//! Calls to EC2: one attempt each, only while the lock outlives it.

use std::time::Duration;

use super::observe::View;
use super::{Run, report};
use crate::guards::Guard;
use crate::lifecycle::{Answer, Call, Power};
use crate::model::Intent;
use crate::ports::{Ec2Error, Ec2Instance};
use crate::store::Commit;
use crate::within::within;

/// How long an answer is waited for. The lock's reserve is twice that.
const CALL_LIMIT: Duration = Duration::from_secs(5);

impl Run<'_> {
    /// Sends the calls one after the other, as they were decided. One whose moment has passed is
    /// dropped, not sent; so are all while EC2 is not readable.
    pub(super) async fn call_all(
        &self,
        calls: Vec<Call>,
        view: &View,
        commit: Option<&Commit>,
    ) -> Vec<Answer> {
        let intent = |sequence: u64| {
            let put = commit
                .map(|commit| commit.put_intents.as_slice())
                .unwrap_or_default();
            put.iter()
                .find(|intent| intent.sequence == sequence)
                .or_else(|| view.records.intents.get(&sequence))
        };
        let mut answers = Vec::with_capacity(calls.len());
        for Call { action, not_after } in calls {
            let now = self.now();
            let late = now > not_after || now >= self.lock.until;
            let late = late && self.guards.on(Guard::LockTime);
            let answer = if view.ec2.is_err() || late {
                Answer {
                    action,
                    result: Ok(None),
                    dropped: true,
                }
            } else {
                let sent = within(
                    self.ports.clock.as_ref(),
                    CALL_LIMIT,
                    self.send(&action, intent),
                );
                let result = sent.await.unwrap_or_else(|| {
                    let limit = CALL_LIMIT.as_secs();
                    Err(Ec2Error::Ambiguous(format!("no answer within {limit} s")))
                });
                Answer {
                    action,
                    result,
                    dropped: false,
                }
            };
            report::called(self.fleet, &self.lock, &answer);
            answers.push(answer);
        }
        answers
    }

    async fn send<'i>(
        &self,
        action: &Power,
        intent: impl Fn(u64) -> Option<&'i Intent>,
    ) -> Result<Option<Ec2Instance>, Ec2Error> {
        let ec2 = &self.ports.fleet;
        match action {
            Power::Run { sequence, token } => {
                let Some(intent) = intent(*sequence) else {
                    return Err(Ec2Error::Config(format!(
                        "intent {sequence} is not committed"
                    )));
                };
                return ec2.run(self.fleet, intent, token).await.map(Some);
            }
            Power::Start { instance, .. } => ec2.start(instance).await?,
            Power::Stop { instance } => ec2.stop(instance).await?,
            Power::Associate { instance } => ec2.associate(self.fleet, instance).await?,
            Power::Disassociate => ec2.disassociate(self.fleet).await?,
        }
        Ok(None)
    }
}
