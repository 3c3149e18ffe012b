//! What the process itself tells who asks: metrics and health.

use kube::{Client, Config};

use super::operator::Operator;
use super::world::eventually;

/// Where the operator listens for what a flag asks for.
pub(crate) async fn listens(operator: &Operator, flag: &str) -> String {
    let address = |line: &str| line.split_once("address=").map(|(_, address)| address.trim().to_owned());
    eventually("it listens", || async {
        let log = operator.log();
        log.lines().find(|line| line.contains("listening") && line.contains(flag)).and_then(address)
    })
    .await
}

/// The status and the text of an answer.
pub(crate) async fn get(base: &str, ca_file: Option<&str>, path: &str) -> Result<(u16, String), String> {
    let mut config = Config::new(base.parse().unwrap());
    let certificates = |file| {
        let pem = std::fs::read(file).unwrap();
        rustls_pki_types::pem::PemObject::pem_slice_iter(&pem)
            .map(|der: Result<rustls_pki_types::CertificateDer<'_>, _>| der.unwrap().to_vec())
            .collect()
    };
    config.root_cert = ca_file.map(certificates);
    let client = Client::try_from(config).unwrap();
    let request = http::Request::get(path).body(kube::client::Body::empty()).unwrap();
    let answer = client.send(request).await.map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect_bytes().await.unwrap();
    Ok((status, String::from_utf8(body.to_vec()).unwrap()))
}

/// The value of a series, in what was scraped.
pub(crate) fn value(metrics: &str, series: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}
