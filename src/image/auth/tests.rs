//! Tables for this module.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let p = std::env::temp_dir().join(format!("rcon-auth-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&p).unwrap();
        Self(p)
    }
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let p = self.0.join(name);
        std::fs::create_dir_all(p.parent().unwrap()).unwrap();
        std::fs::write(&p, text).unwrap();
        p
    }
    fn env(&self) -> Env {
        let home = self.0.clone();
        let mut env = Env::from(0, move |n| (n == "HOME").then(|| home.clone().into()));
        env.run_containers = self.0.join("run");
        env
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn basic(user: &str, password: &str) -> Option<Credentials> {
    Some(Credentials::Basic { username: user.into(), password: password.into() })
}

fn find(file: &Path, registry: &str, repository: &str) -> Option<Credentials> {
    Keychain::new(&Env::default(), &Registries::default(), None, Some(file))
        .find(registry, repository)
        .unwrap()
}

#[test]
fn the_most_specific_key_wins() {
    let d = Folder::new("keys");
    // a:1, b:2, c:3, d:4
    let f = d.file(
        "auth.json",
        r#"{"auths": {"h.test": {"auth": "YTox"}, "h.test/team": {"auth": "Yjoy"}, "h.test/team/app": {"auth": "Yzoz"},
            "https://index.docker.io/v1/": {"auth": "ZDo0"}, "http://old.test:5000/v2/": {"auth": "YTox"}, "tok.test": {"identitytoken": "T"}}}"#,
    );
    assert_eq!(find(&f, "h.test", "x"), basic("a", "1"));
    assert_eq!(find(&f, "h.test", "team"), basic("b", "2"));
    assert_eq!(find(&f, "h.test", "team/other/x"), basic("b", "2"));
    assert_eq!(find(&f, "h.test", "team/app"), basic("c", "3"));
    assert_eq!(find(&f, "h.test", "team/app/x"), basic("c", "3"));
    assert_eq!(find(&f, "h.test:5000", "team"), None);
    assert_eq!(find(&f, "docker.io", "library/nginx"), basic("d", "4"));
    assert_eq!(find(&f, "old.test:5000", "x"), basic("a", "1"));
    assert_eq!(find(&f, "tok.test", ""), Some(Credentials::IdentityToken("T".into())));
}

#[test]
fn files_are_searched_in_order() {
    let d = Folder::new("order");
    let env = d.env();
    let chain = || Keychain::new(&env, &Registries::default(), None, None);
    assert_eq!(chain().find("h", "").unwrap(), None);
    d.file(".docker/config.json", r#"{"auths": {"h": {"auth": "YTox"}}, "HttpHeaders": {}}"#);
    assert_eq!(chain().find("h", "").unwrap(), basic("a", "1"));
    d.file(".config/containers/auth.json", r#"{"auths": {"h": {"auth": "Yjoy"}}}"#);
    assert_eq!(chain().find("h", "").unwrap(), basic("b", "2"));
    d.file("run/auth.json", r#"{"auths": {"h": {"auth": "Yzoz"}}}"#);
    assert_eq!(chain().find("h", "").unwrap(), basic("c", "3"));
    let given = Keychain::new(&env, &Registries::default(), Some(("u".into(), "p".into())), None);
    assert_eq!(given.find("h", "").unwrap(), basic("u", "p"));
    let env = Env { auth_file: Some(d.0.join(".docker/config.json")), ..env.clone() };
    let only = Keychain::new(&env, &Registries::default(), None, None);
    assert_eq!(only.find("h", "").unwrap(), basic("a", "1"));
}

#[test]
fn damage_is_named_and_secrets_are_not_shown() {
    let d = Folder::new("bad");
    let f = d.file("auth.json", r#"{"auths": {"h": {"auth": "!!"}}}"#);
    let chain = Keychain::new(&Env::default(), &Registries::default(), None, Some(&f));
    assert!(chain.find("h", "").unwrap_err().to_string().contains("base64"));
    assert_eq!(chain.find("other", "").unwrap(), None);
    std::fs::write(&f, "{").unwrap();
    assert!(chain.find("h", "").unwrap_err().to_string().contains("auth.json"));
    std::fs::write(&f, "").unwrap();
    assert_eq!(chain.find("h", "").unwrap(), None);
    let absent = d.0.join("none");
    assert!(
        Keychain::new(&Env::default(), &Registries::default(), None, Some(&absent)).find("h", "").is_err()
    );
    assert!(!format!("{:?}", basic("u", "secret")).contains("secret"));
}

#[test]
fn login_writes_privately_keeps_the_rest_and_logout_undoes_it() {
    let d = Folder::new("login");
    let env = d.env();
    let f = d.file("c/auth.json", r#"{"auths": {"x": {"auth": "YTox"}}, "other": 1}"#);
    assert_eq!(store(&env, Some(&f), "h.test", "u", "p:w").unwrap(), Stored::File(f.clone()));
    assert_eq!(find(&f, "h.test", "any"), basic("u", "p:w"));
    assert_eq!(find(&f, "x", "any"), basic("a", "1"));
    assert_eq!(std::fs::metadata(&f).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&f).unwrap().contains("\"other\""));
    assert_eq!(logins(&env, Some(&f)).unwrap(), ["x", "h.test"]);
    assert!(store_erase(&env, Some(&f), "h.test").unwrap());
    assert!(!store_erase(&env, Some(&f), "h.test").unwrap());
    assert_eq!(find(&f, "h.test", ""), None);
    store(&env, None, "docker.io", "u", "p").unwrap();
    assert_eq!(find(&d.0.join("run/auth.json"), "docker.io", "library/x"), basic("u", "p"));
}
