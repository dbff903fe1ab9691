//! What is asked of a server when the store is opened: whether it can keep records, and for how
//! long.

use redis::Value;

use super::error::{Failure, NO_CLUSTER, PART_OF_CLUSTER};
use super::link::Link;

/// Looks at the server behind a new connection, which is part of a cluster or is not.
pub(super) async fn greet(link: &Link, address: &str, in_cluster: bool) -> Result<(), Failure> {
    match link.ask(redis::cmd("INFO")).await {
        Ok(Value::VerbatimString { text, .. }) => examine(&text, address, in_cluster),
        Ok(Value::BulkString(text)) => {
            examine(&String::from_utf8_lossy(&text), address, in_cluster)
        }
        Ok(_) => {
            unseen(address);
            Ok(())
        }
        Err(failure) if failure.is_forbidden() => {
            unseen(address);
            Ok(())
        }
        Err(failure) => Err(failure),
    }
}

fn unseen(address: &str) {
    tracing::warn!(
        address,
        "the user may not ask for INFO: the server's version, role and maxmemory-policy are not \
         known; an evicting policy deletes locks and outcomes"
    );
}

fn examine(info: &str, address: &str, in_cluster: bool) -> Result<(), Failure> {
    let field = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
    };
    if let Some(version) = field("redis_version") {
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_some_and(|major| major < 6) {
            let what = format!("the server is Redis {version}; 6.0 or later is needed");
            return Err(Failure::Unsupported(what));
        }
    }
    if let Some(enabled) = field("cluster_enabled") {
        match (in_cluster, enabled == "1") {
            (true, false) => return Err(Failure::Unsupported(NO_CLUSTER.to_owned())),
            (false, true) => return Err(Failure::Unsupported(PART_OF_CLUSTER.to_owned())),
            (true, true) | (false, false) => {}
        }
    }
    // In a cluster it sends us on to its primary.
    if field("role") == Some("slave") && !in_cluster {
        return Err(Failure::Unsupported(
            "the server is a replica and takes no writes; name the primary".to_owned(),
        ));
    }
    if let Some(policy) = field("maxmemory_policy").filter(|policy| *policy != "noeviction") {
        tracing::warn!(
            address,
            policy,
            "maxmemory-policy evicts keys: a full server deletes locks that are held and outcomes \
             that should replay, so calls may run twice; set it to noeviction"
        );
    }
    Ok(())
}
