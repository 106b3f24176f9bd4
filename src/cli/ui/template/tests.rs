//! Templates that scripts use, each with what docker prints for it.

use serde_json::json;

use super::{Data, Template, TemplateError};

fn data() -> Data {
    let value = json!({
        "ID": "abc", "Names": "web", "Count": 3, "Pct": 12.5, "Zero": 0, "On": true, "Off": false, "Nil": null,
        "List": ["a", "b", "c"], "Empty": [],
        "Config": {"Labels": {"x": "1", "y.z": "2"}, "Env": ["A=1", "B=2"]},
        "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "443/tcp": null},
                            "Networks": {"bridge": {"IPAddress": "10.0.0.2"}}},
        "Mounts": [{"Source": "/a", "Destination": "/b"}, {"Source": "/c", "Destination": "/d"}],
        "Policy": {"MaximumRetryCount": 3, "Name": "on-failure"},
        "Bind": [{"Type": "bind", "Source": "/a", "Destination": "/b", "Mode": "", "RW": true,
                  "Propagation": "rprivate", "Options": ["x"]}]
    });
    let lookups = json!({"Label": {"x": "1"}});
    let serde_json::Value::Object(lookups) = lookups else { panic!("an object") };
    Data { value, lookups }
}

fn run(text: &str) -> Result<String, TemplateError> {
    Template::parse(text)?.execute(&data())
}

#[test]
fn what_scripts_use() {
    for (template, want) in [
        ("{{.ID}}", "abc"),
        ("{{.Id}}", "abc"),
        ("{{ .ID }}: {{.Names}}", "abc: web"),
        ("{{.Config.Labels.x}}", "1"),
        ("{{.Config.Labels.nope}}", "<no value>"),
        ("{{index .Config.Labels \"y.z\"}}", "2"),
        ("{{index .Config.Labels \"nope\"}}", ""),
        ("{{index .List 1}}", "b"),
        ("{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}", "8080"),
        ("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "10.0.0.2"),
        (
            "{{range $p, $c := .NetworkSettings.Ports}}{{$p}}={{if $c}}{{(index $c 0).HostPort}}{{else}}-{{end}} {{end}}",
            "443/tcp=- 80/tcp=8080 ",
        ),
        ("{{range .Mounts}}{{.Source}}:{{.Destination}};{{end}}", "/a:/b;/c:/d;"),
        ("{{range $i, $e := .List}}{{if $i}},{{end}}{{$e}}{{end}}", "a,b,c"),
        ("{{range .Empty}}x{{else}}none{{end}}", "none"),
        ("{{range .List}}{{if eq . \"b\"}}{{continue}}{{end}}{{.}}{{end}}", "ac"),
        ("{{range .List}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}", "a"),
        ("{{json .List}}", "[\"a\",\"b\",\"c\"]"),
        ("{{join .List \", \"}}", "a, b, c"),
        ("{{.List}}", "[a b c]"),
        ("{{.Config.Labels}}", "map[x:1 y.z:2]"),
        ("{{.Policy}} {{.Bind}}", "{on-failure 3} [{bind  /a /b   true rprivate}]"),
        ("{{index .NetworkSettings.Ports \"80/tcp\"}}", "[{0.0.0.0 8080}]"),
        ("{{.Nil}}", "[]"),
        ("{{len .List}}", "3"),
        ("{{lower \"ABC\"}}{{upper .ID}}{{title .Names}}", "abcABCWeb"),
        ("{{.ID | upper | printf \"%s!\"}}", "ABC!"),
        ("{{split \"a:b\" \":\"}}", "[a b]"),
        ("{{index (split \"a:b\" \":\") 1}}", "b"),
        ("{{printf \"%-5s|%5s|%.2s\" .ID .ID .ID}}", "abc  |  abc|ab"),
        ("{{printf \"%05d %x %d%%\" .Count 255 7}}", "00003 ff 7%"),
        ("{{printf \"%.1f %q %t %v\" .Pct .ID .On .List}}", "12.5 \"abc\" true [a b c]"),
        ("{{println .ID .Count}}", "abc 3\n"),
        ("{{print .ID .Names}}", "abcweb"),
        ("{{.Label \"x\"}}{{.Label \"y\"}}", "1"),
        ("{{if .On}}y{{else}}n{{end}}{{if .Off}}y{{else}}n{{end}}{{if .Zero}}y{{end}}", "yn"),
        ("{{if eq .ID \"abc\"}}same{{end}}", "same"),
        ("{{if eq .ID \"x\" \"abc\"}}one of{{end}}", "one of"),
        ("{{if and .On (gt .Count 2)}}and{{end}}", "and"),
        ("{{if or .Off (ne .ID \"x\")}}or{{end}}{{if not .Off}}not{{end}}", "ornot"),
        ("{{if .Off}}1{{else if .On}}2{{else}}3{{end}}", "2"),
        ("{{with .Config}}{{index .Env 0}}{{end}}", "A=1"),
        ("{{with .Nil}}x{{else}}nil{{end}}", "nil"),
        ("{{$x := .ID}}{{$x}}{{$x = \"q\"}}{{$x}}", "abcq"),
        ("{{range .List}}{{$.ID}}{{end}}", "abcabcabc"),
        ("a {{- .ID -}} b", "aabcb"),
        ("{{/* a comment */}}x", "x"),
        ("{{- /* trimmed */ -}} x", "x"),
        ("{{slice .ID 1 2}}{{slice .List 1}}", "b[b c]"),
        ("{{truncate .ID 2}}{{pad .ID 1 1}}", "ab abc "),
        ("{{`raw \"x\"`}}{{\"tab\\t\"}}{{'a'}}", "raw \"x\"tab\t97"),
        ("{{.Pct}} {{.Count}} {{1.5}} {{-3}}", "12.5 3 1.5 -3"),
        ("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}", "x=1 y.z=2 "),
        ("plain", "plain"),
        ("{{\"}}\"}}", "}}"),
    ] {
        assert_eq!(run(template).as_deref(), Ok(want), "{template}");
    }
}

#[test]
fn unknown_fields_list_the_known_ones() {
    let Err(TemplateError::Run { message, known, .. }) = run("{{.Nope}}") else { panic!("an error") };
    assert!(message.contains("can't evaluate field Nope"), "{message}");
    assert!(known.contains(&"ID".to_owned()));
}

#[test]
fn mistakes_are_errors_not_panics() {
    for template in [
        "{{",
        "{{}}",
        "{{.ID",
        "{{if}}x{{end}}",
        "{{if .ID}}",
        "{{end}}",
        "{{else}}",
        "{{foo}}",
        "{{.ID | }}",
        "{{\"x}}",
        "{{(.ID}}",
        "{{.ID)}}",
        "{{$x}}",
        "{{break}}",
        "{{index .List 9}}",
        "{{index .Nil 0}}",
        "{{.ID.x}}",
        "{{.Nil.x}}",
        "{{slice .ID 5}}",
        "{{eq .ID}}",
        "{{lt .ID 1}}",
        "{{.ID \"x\"}}",
        "{{range .ID}}{{end}}",
        "{{template \"x\"}}",
        "{{len .On}}",
        "{{1 | 2}}",
        "{{$a, $b}}",
    ] {
        assert!(run(template).is_err(), "{template}");
    }
    assert_eq!(run("{{printf \"%d\" .ID}}").as_deref(), Ok("%!d(string=abc)"));
    assert_eq!(run("{{printf \"%s\"}}").as_deref(), Ok("%!s(MISSING)"));
    assert_eq!(run("{{printf \"x\" 1}}").as_deref(), Ok("x%!(EXTRA int=1)"));
}

#[test]
fn titles_pass_through_functions() {
    let titles = Data::from(json!({"ID": "CONTAINER ID", "Names": "NAMES"}));
    let template = Template::parse("{{.ID}}\t{{upper .Names}}\t{{json .ID}}").expect("valid");
    assert_eq!(template.execute_titles(&titles).as_deref(), Ok("CONTAINER ID\tNAMES\tCONTAINER ID"));
}

#[test]
fn durations_and_nils_print_as_in_go() {
    let value = serde_json::json!({
        "Config": { "Healthcheck": { "Interval": 90_000_000_000_u64, "Timeout": 1_500_000, "StartPeriod": 0 } },
        "SizeRw": null, "Labels": null, "CapAdd": null, "Ports": { "80/tcp": {} },
    });
    let template = "{{.Config.Healthcheck.Interval}} {{.Config.Healthcheck.Timeout}} \
        {{.Config.Healthcheck.StartPeriod}} {{json .Config.Healthcheck.Interval}} {{.SizeRw}} {{.Labels}} {{.CapAdd}} {{.Ports}}";
    let line = Template::parse(template).expect("parses").execute(&Data::from(value)).expect("runs");
    assert_eq!(line, "1m30s 1.5ms 0s 90000000000 <nil> map[] [] map[80/tcp:{}]");
    assert_eq!(super::funcs::go_duration(3_723_004_000_000), "1h2m3.004s");
}

#[test]
fn errors_say_where() {
    for (template, place) in [
        ("{{.Nope}}", ":1:2: executing \"\" at <.Nope>: "),
        ("{{json .Nope.More}}", ":1:12: executing \"\" at <.Nope.More>: "),
        ("a\nbc {{ .Nope }}", ":2:6: executing \"\" at <.Nope>: "),
    ] {
        let told = run(template).expect_err("a field that is not there").to_string();
        assert!(told.contains(&format!("template: {place}can't evaluate field Nope")), "{told}");
    }
}
