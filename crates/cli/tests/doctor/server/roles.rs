//! Roles that have certificates, and roles that a rule locks out.

use super::fixture::Doctored;

#[test]
fn certificates_of_roles_that_cannot_use_them() {
    let doctored = Doctored::new();
    doctored
        .scene
        .pgpki("issue-client alice Bob carol --out clients");
    doctored.cluster.create_role("alice", None, true);
    doctored.cluster.create_role("bob", None, true);
    doctored.cluster.create_role("carol", None, false);
    let seen = doctored.doctor();
    seen.is_wrong_with(&["role-missing", "role-no-login"]);
    seen.has_role("warning", "role-missing", "Bob");
    seen.has_role("warning", "role-no-login", "carol");
}

#[test]
fn certificates_that_are_about_to_end_or_have() {
    let doctored = Doctored::new();
    for (role, days) in [("alice", "365"), ("bob", "290"), ("carol", "400")] {
        doctored.cluster.create_role(role, None, true);
        let args = ["issue-client", role, "--out", "clients", "--days", days];
        // Before the authority's own time nothing can be issued, so the present is moved instead.
        pgpki_testing::run(&mut doctored.scene.command(args));
    }
    let pgdata = doctored.cluster.data_dir().display().to_string();
    let args = ["doctor", "--json", "--pgdata", &pgdata];
    let seen = super::fixture::Seen::of(&mut doctored.scene.command_at("+300d", args));
    seen.has_role("warning", "role-certificate-due", "alice");
    seen.has_role("warning", "role-certificate-expired", "bob");
    seen.has_role("warning", "role-certificate-due", "carol");
    doctored.doctor().is_healthy();
}

#[test]
fn passwords_that_let_nobody_in() {
    let mut doctored = Doctored::new();
    doctored.cluster.sql(
        "SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'x'; \
         CREATE ROLE late LOGIN PASSWORD 'x' VALID UNTIL '2001-01-01'; \
         CREATE ROLE team; CREATE ROLE member LOGIN PASSWORD 'x' IN ROLE team",
    );
    doctored.scene.pgpki("issue-client late --out clients");
    // Nobody is asked for a password.
    doctored.doctor().is_healthy();
    doctored.reload_with_rules(
        "hostnossl all all all reject\nhostssl all late,old all scram-sha-256 clientcert=verify-full",
    );
    let seen = doctored.doctor();
    seen.is_wrong_with(&["role-md5", "role-password-expired"]);
    seen.has_role("warning", "role-md5", "old");
    seen.has_role("warning", "role-password-expired", "late");
    doctored.reload_with_rules(
        "hostnossl all all all reject\nhostssl all +team all scram-sha-256\nhostssl all all all cert",
    );
    let seen = doctored.doctor();
    seen.is_wrong_with(&["role-md5"]);
    seen.has_role("warning", "role-md5", "member");
}
