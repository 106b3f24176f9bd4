//! `WWW-Authenticate` (RFC 9110, 11.6.1): parsed, no I/O.

/// How a registry wants to be convinced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User name and password with each request.
    Basic,
    /// A token from a service.
    Bearer {
        /// Address of the token service.
        realm: String,
        /// Name of the registry there.
        service: Option<String>,
        /// What the registry thinks is needed.
        scope: Option<String>,
    },
}

/// Parses one header value, which may hold several challenges. Unknown schemes are skipped.
pub(super) fn parse(header: &str) -> Vec<Challenge> {
    let mut out = Vec::new();
    let mut rest = header.trim_start();
    while !rest.is_empty() {
        let (scheme, after) = token(rest);
        if scheme.is_empty() {
            break;
        }
        let (params, after) = parameters(after);
        let get =
            |name: &str| params.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v.clone());
        if scheme.eq_ignore_ascii_case("basic") {
            out.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = get("realm")
        {
            out.push(Challenge::Bearer { realm, service: get("service"), scope: get("scope") });
        }
        rest = after.trim_start_matches([' ', '\t', ',']);
    }
    out
}

fn token(s: &str) -> (&str, &str) {
    let end =
        s.find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))).unwrap_or(s.len());
    s.split_at(end)
}

/// `name=value` pairs up to the next scheme.
fn parameters(s: &str) -> (Vec<(String, String)>, &str) {
    let mut params = Vec::new();
    let mut rest = s;
    loop {
        let trimmed = rest.trim_start_matches([' ', '\t', ',']);
        let (name, after) = token(trimmed);
        let Some(value) = after.trim_start().strip_prefix('=') else { return (params, trimmed) };
        if name.is_empty() {
            return (params, "");
        }
        let (value, after) = value_of(value.trim_start());
        params.push((name.to_owned(), value));
        rest = after;
    }
}

fn value_of(s: &str) -> (String, &str) {
    let Some(quoted) = s.strip_prefix('"') else {
        let (v, rest) = token(s);
        // What is no token (a URL without quotes) ends at the next comma.
        let end = rest.find(',').unwrap_or(rest.len());
        return (format!("{v}{}", &rest[..end]), &rest[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[i + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
        }
    }

    #[test]
    fn headers_of_real_registries() {
        let table: [(&str, Vec<Challenge>); 9] = [
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull""#,
                vec![bearer(
                    "https://auth.docker.io/token",
                    Some("registry.docker.io"),
                    Some("repository:library/nginx:pull"),
                )],
            ),
            (r#"Basic realm="Registry Realm""#, vec![Challenge::Basic]),
            ("basic", vec![Challenge::Basic]),
            (
                r#"Negotiate, Bearer realm="https://a/t", Basic realm="x""#,
                vec![bearer("https://a/t", None, None), Challenge::Basic],
            ),
            (r#"Bearer service="x""#, vec![]),
            (r#"Bearer realm="a\"b",error="insufficient_scope""#, vec![bearer("a\"b", None, None)]),
            ("Bearer realm=https://a/t,service=s", vec![bearer("https://a/t", Some("s"), None)]),
            ("", vec![]),
            ("=,=\"", vec![]),
        ];
        for (text, want) in table {
            assert_eq!(parse(text), want, "{text}");
        }
    }

    #[test]
    fn nonsense_ends() {
        for text in
            ["Bearer realm=\"", "\"", "a=b=c", "Bearer ,,,", "Basic Basic Basic", "é", "Bearer é=\"x\""]
        {
            parse(text);
        }
    }
}
