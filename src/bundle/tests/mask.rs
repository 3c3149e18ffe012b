use super::*;

const DOCUMENT: &str = "\
# password of old: hush
DB_URI: postgresql://quay:hush@db/quay  # hush
DATABASE_SECRET_KEY: \"hush\"
FEATURE_MAILING: false
FEATURE_ODD: hush
LDAP: {BIND: [hush, 'hu#sh'], N: 12345}
CERT: |
  hush

  hush # hush
FOLDED: hush
  hush
DISTRIBUTED_STORAGE_CONFIG:
  default:
    - STSS3Storage
    - {sts_role_arn: arn, s3_bucket: b, sts_user_secret_key: hush, endpoint_url: 'http://u:hush@h'}
DISTRIBUTED_STORAGE_PREFERENCE: [default]
";

const MASKED: &str = "\
# ***
DB_URI: ***  # ***
DATABASE_SECRET_KEY: ***
FEATURE_MAILING: false
FEATURE_ODD: ***
LDAP: {BIND: [***, ***], N: ***}
CERT: |
  ***

  ***
FOLDED: ***
  ***
DISTRIBUTED_STORAGE_CONFIG:
  default:
    - STSS3Storage
    - {sts_role_arn: arn, s3_bucket: b, sts_user_secret_key: ***, endpoint_url: ***}
DISTRIBUTED_STORAGE_PREFERENCE: [default]
";

#[test]
fn every_value_and_comment_is_masked_but_for_what_is_known_to_be_no_secret() {
    let Ok(document) = ConfigYaml::parse(DOCUMENT.as_bytes()) else { panic!("it can be read") };
    assert_eq!(document.masked(), MASKED);
    let crlf = DOCUMENT.replace('\n', "\r\n");
    let Ok(document) = ConfigYaml::parse(crlf.as_bytes()) else { panic!("it can be read") };
    assert_eq!(document.masked(), MASKED.replace('\n', "\r\n"));
}
