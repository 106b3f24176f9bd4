//! Tables for this module.

use super::*;

const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn image(media_type: &str) -> String {
    format!(
        r#"{{"schemaVersion":2{media_type},"config":{{"mediaType":"{OCI_CONFIG}","digest":"{D}","size":2}},"layers":[{{"mediaType":"{OCI_LAYER}+gzip","digest":"{D}","size":3}}]}}"#
    )
}

fn index(entries: &[(&str, &str)]) -> Index {
    let list: Vec<String> = entries
        .iter()
        .enumerate()
        .map(|(i, (platform, extra))| {
            let platform = match platform.split('/').collect::<Vec<_>>()[..] {
                [""] => String::new(),
                [os, arch] => format!(r#","platform":{{"os":"{os}","architecture":"{arch}"}}"#),
                [os, arch, v] => {
                    format!(r#","platform":{{"os":"{os}","architecture":"{arch}","variant":"{v}"}}"#)
                }
                _ => panic!("{platform}"),
            };
            format!(
                r#"{{"mediaType":"{OCI_MANIFEST}","digest":"sha256:{i:064x}","size":1{platform}{extra}}}"#
            )
        })
        .collect();
    let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, list.join(","));
    match parse(text.as_bytes(), Some(OCI_INDEX), "x").unwrap() {
        Parsed::Index(i) => i,
        Parsed::Manifest(_) => panic!("not an index"),
    }
}

fn chosen(entries: &[(&str, &str)], wanted: Option<&str>) -> Result<usize, Error> {
    let i = index(entries);
    let p = wanted.map(|w| w.parse::<Platform>().unwrap());
    let d = i.choose(p.as_ref(), "x")?;
    Ok(i.manifests.iter().position(|m| m == d).unwrap())
}

#[test]
fn media_types_must_agree() {
    let own = |t: &str| format!(r#","mediaType":"{t}""#);
    let ok = |text: &str, ct: Option<&str>| parse(text.as_bytes(), ct, "x");
    assert!(ok(&image(""), None).is_ok());
    assert!(ok(&image(""), Some(OCI_MANIFEST)).is_ok());
    assert!(ok(&image(""), Some("application/json; charset=utf-8")).is_ok());
    assert!(
        ok(&image(&own(OCI_MANIFEST)), Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8"))
            .is_ok()
    );
    let e = ok(&image(&own(OCI_MANIFEST)), Some(DOCKER_MANIFEST)).unwrap_err();
    assert!(e.to_string().contains("calls itself"), "{e}");
    assert!(matches!(ok(&image(&own(OCI_INDEX)), None), Err(Error::Invalid { .. })));
    assert!(matches!(ok(&image(""), Some(OCI_INDEX)), Err(Error::Invalid { .. })));
    assert!(matches!(ok(&image(&own("text/html")), None), Err(Error::MediaType { .. })));
}

#[test]
fn ambiguous_and_old_documents_are_refused() {
    let both =
        format!(r#"{{"schemaVersion":2,"manifests":[],"config":{{"digest":"{D}","size":2}},"layers":[]}}"#);
    let e = parse(both.as_bytes(), None, "x").unwrap_err();
    assert!(e.to_string().contains("at the same time"), "{e}");
    for text in [
        r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned(),
        r#"{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v1+json"}"#
            .to_owned(),
    ] {
        assert!(matches!(parse(text.as_bytes(), None, "x"), Err(Error::Schema1 { .. })), "{text}");
    }
    let signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    assert!(matches!(parse(b"{}", Some(signed), "x"), Err(Error::Schema1 { .. })));
    for text in ["", "[]", "{}", r#"{"schemaVersion":2}"#, r#"{"schemaVersion":2,"layers":[]}"#, "<html>"] {
        assert!(matches!(parse(text.as_bytes(), None, "x"), Err(Error::Invalid { .. })), "{text}");
    }
    let twice = r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#;
    assert!(parse(twice.as_bytes(), None, "x").is_err());
    let negative = image("").replace("\"size\":3", "\"size\":-3");
    assert!(parse(negative.as_bytes(), None, "x").is_err());
    let md5 = image("").replacen(D, "md5:abc", 1);
    assert!(parse(md5.as_bytes(), None, "x").is_err());
}

#[test]
fn artifacts_and_strange_layers_are_no_images() {
    let check = |text: &str| match parse(text.as_bytes(), None, "x").unwrap() {
        Parsed::Manifest(m) => m.check_image("x"),
        Parsed::Index(_) => panic!("index"),
    };
    assert!(check(&image("")).is_ok());
    assert!(check(&image("").replace("tar+gzip", "tar+zstd")).is_ok());
    assert!(check(&image("").replace("tar+gzip", "tar+zstd+encrypted")).is_err());
    let e = check(&image("").replace(OCI_CONFIG, "application/vnd.cncf.helm.config.v1+json")).unwrap_err();
    assert!(e.to_string().contains("artifact"), "{e}");
}

#[test]
fn the_platform_is_chosen_as_docker_does() {
    let set = [("linux/amd64", ""), ("linux/arm/v6", ""), ("linux/arm64/v8", ""), ("windows/amd64", "")];
    assert_eq!(chosen(&set, Some("linux/amd64")).unwrap(), 0);
    assert_eq!(chosen(&set, Some("linux/amd64/v3")).unwrap(), 0);
    assert_eq!(chosen(&set, Some("linux/arm64")).unwrap(), 2);
    assert_eq!(chosen(&set, Some("linux/arm/v7")).unwrap(), 1);
    assert_eq!(chosen(&set, Some("windows/amd64")).unwrap(), 3);
    let e = chosen(&set, Some("linux/s390x")).unwrap_err();
    assert!(e.to_string().contains("linux/arm/v6, linux/arm64, windows/amd64"), "{e}");
    assert!(chosen(&set, Some("linux/386")).is_err());
    // Explicit amd64 does not take 386, arm64 does not take arm.
    assert!(chosen(&[("linux/386", "")], Some("linux/amd64")).is_err());
    assert!(chosen(&[("linux/arm/v7", "")], Some("linux/arm64")).is_err());
}

#[test]
fn attestations_are_no_images() {
    let extra = r#","annotations":{"vnd.docker.reference.type":"attestation-manifest"}"#;
    let set = [("unknown/unknown", extra), ("linux/amd64", "")];
    assert_eq!(chosen(&set, Some("linux/amd64")).unwrap(), 1);
    assert_eq!(chosen(&[("unknown/unknown", extra), ("", "")], None).unwrap(), 1);
    assert!(chosen(&[("", ""), ("", "")], None).is_err());
}

#[cfg(target_arch = "x86_64")]
#[test]
fn this_machine_takes_what_it_can_run() {
    assert_eq!(chosen(&[("linux/386", ""), ("linux/amd64", "")], None).unwrap(), 1);
    assert_eq!(chosen(&[("linux/arm64", ""), ("linux/386", "")], None).unwrap(), 1);
}
