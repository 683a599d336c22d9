//! Going back to the old root.

use crate::stage::{DONE, Stage, blocks};

#[test]
fn old_and_new_clients_go_on_and_another_root_can_follow() {
    let stage = Stage::new();
    let alice = stage.client("alice");
    let old = stage.copied(&alice, "old");
    let first = stage.roots();
    stage.rotate(DONE, &["--root"]);
    let newcomer = stage.client("newcomer");
    let new = stage.copied(&newcomer, "new");

    let said = stage.says(DONE, &["rotate", "--root", "--undo"]);
    assert!(said.contains("undone"), "{said}");
    // Beside the old root, what it has signed for the new one: its clients' chains end there.
    let now = stage.roots();
    assert_eq!((&now[..1], now.len()), (&first[..], 2));
    assert_eq!(blocks(&newcomer.join("root.crt")), first);
    let everybody = [
        stage.own("alice", &old),
        stage.own("alice", &alice),
        stage.own("newcomer", &new),
        stage.own("newcomer", &newcomer),
    ];
    let all_connect = |stage: &Stage| everybody.iter().for_each(|it| stage.connects(it));
    all_connect(&stage);
    stage.is_settled();
    stage.restart();
    all_connect(&stage);

    let again = stage.rotate(DONE, &["--root"]);
    assert_eq!(again["root"], "renewed", "{again}");
    let roots = stage.roots();
    assert_eq!(roots[1], first[0]);
    all_connect(&stage);
    let latest = stage.client("latest");
    let new_root = stage.trust("new-root.crt", &roots[0]);
    stage.connects(&stage.own("latest", &latest));
    stage.connects(&stage.conninfo("newcomer", &new, &new_root));
    stage.restart();
    all_connect(&stage);
    stage.is_settled();

    stage.supersede_what_is_left(&[]);
    stage.says(DONE, &["rotate", "--root", "--finish"]);
    assert_eq!(stage.roots(), roots[..1]);
    stage.connects(&stage.own("latest", &latest));
    stage.is_settled();
}
