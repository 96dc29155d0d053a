//! What builds may spend on models, and have spent.

use grace_domain::model::{Budget, Limit, Spending, Took, Usage};
use grace_store::{account_fetch, account_open, account_reserve, account_settle};
use grace_store_testing as testing;

use crate::fixture::intent;

#[tokio::test]
async fn what_a_request_took_replaces_what_was_reserved_for_it() {
    let db = testing::database().await;
    let id = intent(&db.store).await;
    let mut conn = db.store.connection().await.unwrap();
    account_open(&mut conn, id, &Budget { tokens: Some(1_000), ..Budget::default() }).await.unwrap();
    let most = Usage { requests: 1, input_tokens: 600, cached_tokens: 50, written_tokens: 70, output_tokens: 300 };
    assert_eq!(account_reserve(&mut conn, id, &most, 9_000).await.unwrap(), Ok(()));
    assert_eq!(account_fetch(&mut conn, id).await.unwrap().spent, Spending { usage: most, cost: 9_000, unpriced: 0, uncounted: 0 });
    assert_eq!(account_reserve(&mut conn, id, &most, 0).await.unwrap(), Err(Limit::Tokens));

    let took = Usage { requests: 2, input_tokens: 500, cached_tokens: 30, written_tokens: 40, output_tokens: 20 };
    let account = account_settle(&mut conn, id, (&most, 9_000), &Took { usage: took, cost: Some(800), counted: true }).await.unwrap();
    assert_eq!(account.spent, Spending { usage: took, cost: 800, unpriced: 0, uncounted: 0 });
    let nothing = Usage::default();
    let account = account_settle(&mut conn, id, (&nothing, 0), &Took { usage: took, cost: None, counted: false }).await.unwrap();
    let twice = Usage { requests: 4, input_tokens: 1_000, cached_tokens: 60, written_tokens: 80, output_tokens: 40 };
    assert_eq!(account.spent, Spending { usage: twice, cost: 800, unpriced: 1, uncounted: 1 });
}
