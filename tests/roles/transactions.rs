//! Processes that are killed in the middle of a call with a transaction of its own.

use std::io::stdin;

use oncely::Coordinator;
use oncely::store::sql::Begins;
use oncely_tests::payments;
use oncely_tests::processes::Part;

/// Makes one call when it is told to; the argument is its key and the URL of the database.
pub(crate) async fn pays_in_a_transaction(part: Part) {
    let (key, url) = part.argument.split_once(' ').unwrap();
    let oncely = Coordinator::connect(url).await.unwrap();
    match url.split(':').next().unwrap() {
        "postgres" => {
            pay(&oncely, &payments::pool::<sqlx::Postgres>(url, 2).await, key, &part).await
        }
        "mysql" => pay(&oncely, &payments::pool::<sqlx::MySql>(url, 2).await, key, &part).await,
        _ => pay(&oncely, &payments::pool::<sqlx::Sqlite>(url, 2).await, key, &part).await,
    }
}

async fn pay<P: Begins>(oncely: &Coordinator, pool: &P, key: &str, part: &Part)
where
    P::Transaction: payments::Pays,
{
    part.say("ready");
    stdin().read_line(&mut String::new()).unwrap();
    payments::pay(oncely, pool, key).await.unwrap();
    part.say("done");
}
