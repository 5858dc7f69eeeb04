//! Who may ask. A page of another site, open in the same browser, can send requests to a service on this machine; with a
//! name that it lets point here (DNS rebinding), it could read the answers too. So the name by which the service is called
//! must be its own, and so must the site that a browser says a request comes from.

use super::refusal::Refusal;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use std::net::{IpAddr, Ipv6Addr};

/// The names by which the service may be called.
#[derive(Clone, PartialEq, Debug)]
pub struct Hosts {
    names: Vec<String>,
    /// Any address in numbers, which no name server gives.
    numbers: bool,
}

impl Hosts {
    /// Those of an address: `localhost` and addresses of this machine; for an address that others reach, any address in
    /// numbers, and `names`.
    pub fn of(address: IpAddr, names: &[String]) -> Hosts {
        let names = names.iter().map(|name| name.to_lowercase()).chain(["localhost".into()]).collect();
        Hosts { names, numbers: !address.is_loopback() }
    }

    fn has(&self, host: &str) -> bool {
        let name = without_port(host).to_lowercase();
        match number(&name) {
            Some(address) => self.numbers || address.is_loopback(),
            None => self.names.contains(&name),
        }
    }

    /// Checks the headers `Host` and `Origin`.
    ///
    /// # Errors
    /// 403.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let refuse = |what: &str, hint: &str| Err(Refusal::new(StatusCode::FORBIDDEN, what, hint));
        let Some(host) = only(headers, header::HOST) else {
            return refuse("the request does not say one Host", "send the header Host");
        };
        if !self.has(host) {
            return refuse(
                "the service is not known by this Host",
                "call it by its address, or allow the name with --host",
            );
        }
        if !headers.contains_key(header::ORIGIN) {
            return Ok(());
        }
        let own = |origin: &str| ["http://", "https://"].iter().any(|scheme| origin.strip_prefix(scheme) == Some(host));
        match only(headers, header::ORIGIN).is_some_and(own) {
            true => Ok(()),
            false => refuse(
                "the request comes from a page of another site",
                "send it from a program, or from the service's own page",
            ),
        }
    }
}

/// The value of a header that is there once.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    if all.next().is_some() { None } else { first.to_str().ok() }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

fn number(host: &str) -> Option<IpAddr> {
    let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inside {
        Some(inside) => inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse().ok().filter(IpAddr::is_ipv4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(hosts: &Hosts, headers: &[(HeaderName, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect();
        hosts.check(&headers).is_ok()
    }

    #[test]
    fn a_service_of_this_machine_is_called_by_its_names() {
        let hosts = Hosts::of("127.0.0.1".parse().unwrap(), &[]);
        let host = |name: &str| allowed(&hosts, &[(header::HOST, name)]);
        for own in ["127.0.0.1:8000", "localhost:8000", "LocalHost", "[::1]:8000", "[::1]", "127.0.0.1:9"] {
            assert!(host(own), "{own}");
        }
        for other in [
            "example.com",
            "example.com:8000",
            "10.0.0.1",
            "localhost.example.com",
            "",
            "127.0.0.1.example.com",
            "[::2]:1",
        ] {
            assert!(!host(other), "{other}");
        }
        assert!(!allowed(&hosts, &[]));
    }

    #[test]
    fn a_service_for_others_is_called_by_numbers_and_given_names() {
        let hosts = Hosts::of("0.0.0.0".parse().unwrap(), &["Lab.example".into()]);
        let host = |name: &str| allowed(&hosts, &[(header::HOST, name)]);
        assert!(host("10.0.0.1:8000") && host("[fe80::1]:80") && host("lab.example:80") && host("localhost"));
        assert!(!host("example.com"));
    }

    #[test]
    fn a_page_of_another_site_is_refused() {
        let hosts = Hosts::of("127.0.0.1".parse().unwrap(), &[]);
        let origin = |value: &str| allowed(&hosts, &[(header::HOST, "localhost:8000"), (header::ORIGIN, value)]);
        assert!(origin("http://localhost:8000"));
        for other in ["null", "http://localhost:8001", "http://example.com", "http://127.0.0.1:8000", "file://"] {
            assert!(!origin(other), "{other}");
        }
    }
}
