//! Which coordinator an annotated function uses: the scoped one, then the installed one.

use std::future::Future;

use once_cell::sync::OnceCell;

use super::Coordinator;
use crate::model::{Error, ErrorKind, Key, Operation};

static INSTALLED: OnceCell<Coordinator> = OnceCell::new();

tokio::task_local! {
    static SCOPED: Coordinator;
}

/// The coordinator a call goes through, if there is one.
#[derive(Clone, Debug)]
pub struct Binding(Option<Coordinator>);

impl Binding {
    /// The coordinator scoped to this task, then the installed one.
    pub(crate) fn ambient() -> Self {
        Self(scoped().or_else(|| INSTALLED.get().cloned()))
    }

    /// The key of a call of `operation` in the coordinator's namespace.
    pub(crate) fn key(
        &self,
        operation: &Operation,
        scope: Option<&str>,
        key: &str,
    ) -> Result<Key, Error> {
        Key::call(&self.coordinator()?.0.namespace, operation, scope, key)
    }

    pub(super) fn coordinator(&self) -> Result<&Coordinator, Error> {
        self.0.as_ref().ok_or_else(not_installed)
    }

    pub(super) fn into_coordinator(self) -> Result<Coordinator, Error> {
        self.0.ok_or_else(not_installed)
    }
}

impl From<&Coordinator> for Binding {
    fn from(coordinator: &Coordinator) -> Self {
        Self(Some(coordinator.clone()))
    }
}

fn not_installed() -> Error {
    let message = "no coordinator is installed, so the call would run unprotected; call \
                   `Coordinator::connect(url).await?.install()?` first";
    Error::new(ErrorKind::NotInstalled, message)
}

pub(super) fn install(coordinator: &Coordinator) -> Result<(), Error> {
    INSTALLED.set(coordinator.clone()).map_err(|_| {
        let message = "a coordinator is installed already, once for the whole process; use \
                       `Coordinator::scope` for a second one";
        Error::new(ErrorKind::AlreadyInstalled, message)
    })
}

pub(super) fn scope<F: Future>(
    coordinator: Coordinator,
    future: F,
) -> impl Future<Output = F::Output> + use<F> {
    SCOPED.scope(coordinator, future)
}

/// The coordinator scoped to this task.
pub(super) fn scoped() -> Option<Coordinator> {
    SCOPED.try_with(Coordinator::clone).ok()
}

/// Runs `work` where this coordinator is the scoped one, if there is one.
pub(super) async fn within<F: Future>(scoped: Option<Coordinator>, work: F) -> F::Output {
    match scoped {
        Some(coordinator) => scope(coordinator, work).await,
        None => work.await,
    }
}
