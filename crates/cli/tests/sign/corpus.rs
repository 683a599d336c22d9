//! Requests of every maker, kind of key, hash and form: what is sound is signed, with nothing copied but the key; the
//! rest is refused in a line that says what to do.

use std::fs;
use std::path::Path;

use pgpki_testing::openssl;

use crate::judged::{assert_client, assert_server, public_key};
use crate::makers::{
    ec, gnutls, go, keytool, openssl_key, openssl_request, openssl_verifies, python, rsa,
};
use crate::stage::{BAD_INPUT, Stage, text};

/// Signed for a role, whatever it asks for.
#[track_caller]
fn signed(stage: &Stage, request: &Path, form: &str) {
    let name = request.file_stem().unwrap().to_str().unwrap();
    let said = stage.sign(request, &["--role", name]);
    assert!(
        said.contains(&format!("is to be   role {name}\n")),
        "{said}"
    );
    let key = public_key(request, form);
    assert_client(stage, &stage.path("signed").join(name), name, &key);
}

fn key(stage: &Stage, name: &str, kind: &[String]) -> std::path::PathBuf {
    let kind: Vec<&str> = kind.iter().map(String::as_str).collect();
    openssl_key(&stage.path("requests"), name, &kind)
}

#[test]
fn every_hash_with_every_key_that_is_taken() {
    let stage = Stage::new();
    let kinds = [
        ("p256", ec("P-256")),
        ("p384", ec("P-384")),
        ("rsa2048", rsa(2048)),
        ("rsa3072", rsa(3072)),
        ("rsa4096", rsa(4096)),
        ("rsa8192", rsa(8192)),
    ];
    for (name, kind) in kinds {
        let key = key(&stage, name, &kind);
        for hash in ["sha256", "sha384", "sha512"] {
            let name = format!("{name}-{hash}");
            let flag = format!("-{hash}");
            let request = openssl_request(&stage.path("requests"), &name, &key, &[&flag]);
            signed(&stage, &request, "PEM");
        }
    }
    let key = openssl_key(
        &stage.path("requests"),
        "ed25519",
        &["-algorithm", "ED25519"],
    );
    let request = openssl_request(&stage.path("requests"), "ed25519", &key, &[]);
    signed(&stage, &request, "PEM");
}

/// PSS is how this request is signed; the key is for any use.
#[test]
fn rsa_pss_with_a_salt_as_long_as_the_hash() {
    let stage = Stage::new();
    let key = key(&stage, "pss", &rsa(2048));
    let padding = ["-sigopt", "rsa_padding_mode:pss", "-sigopt"];
    for (hash, salt) in [("-sha256", "digest"), ("-sha384", "48"), ("-sha512", "64")] {
        let salt = format!("rsa_pss_saltlen:{salt}");
        let args = [&padding[..], &[&salt, hash]].concat();
        let name = format!("pss{hash}");
        let request = openssl_request(&stage.path("requests"), &name, &key, &args);
        signed(&stage, &request, "PEM");
    }
    let args = [&padding[..], &["rsa_pss_saltlen:20", "-sha256"]].concat();
    let request = openssl_request(&stage.path("requests"), "odd", &key, &args);
    let message = stage.refuses(BAD_INPUT, &request, &["--role", "alice"]);
    assert!(message.contains("RSA-PSS"), "{message}");
}

#[test]
fn keys_that_are_refused() {
    let stage = Stage::new();
    let other = |kind: &[&str]| -> Vec<String> { kind.iter().map(|it| (*it).to_owned()).collect() };
    let explicit = [ec("P-256"), other(&["-pkeyopt", "ec_param_enc:explicit"])].concat();
    for (kind, said) in [
        (ec("P-521"), "P-521"),
        (ec("P-224"), "P-224"),
        (ec("secp256k1"), "secp256k1"),
        (ec("brainpoolP256r1"), "brainpoolP256r1"),
        (ec("brainpoolP384r1"), "brainpoolP384r1"),
        (ec("brainpoolP512r1"), "brainpoolP512r1"),
        (ec("sect283k1"), "1.3.132.0.16"),
        (explicit, "curve without a name"),
        (rsa(1024), "RSA with 1024 bits"),
        (rsa(2047), "RSA with 2047 bits"),
        (other(&["-algorithm", "ED448"]), "Ed448"),
        (
            [
                other(&["-algorithm", "RSA-PSS"]),
                other(&["-pkeyopt", "rsa_keygen_bits:2048"]),
            ]
            .concat(),
            "RSA-PSS",
        ),
    ] {
        let key = key(&stage, "refused", &kind);
        let request = openssl_request(&stage.path("requests"), "refused", &key, &[]);
        let message = stage.refuses(BAD_INPUT, &request, &["--role", "alice"]);
        assert!(message.contains(said), "{said}: {message}");
        assert!(message.contains("its key is"), "{message}");
    }
}

/// What nobody asked openssl for is uncompressed.
#[test]
fn a_compressed_point_is_refused() {
    let stage = Stage::new();
    let dir = stage.path("requests");
    let file = text(&dir).to_owned() + "/compressed.key";
    openssl([
        "ecparam",
        "-name",
        "prime256v1",
        "-genkey",
        "-noout",
        "-conv_form",
        "compressed",
        "-out",
        &file,
    ]);
    let whole = text(&dir).to_owned() + "/point.key";
    let args = ["ec", "-conv_form", "compressed", "-in", &file, "-out"];
    openssl([&args[..], &[&whole]].concat());
    let request = openssl_request(&dir, "compressed", Path::new(&whole), &[]);
    let message = stage.refuses(BAD_INPUT, &request, &["--role", "alice"]);
    assert!(message.contains("compressed"), "{message}");
}

#[test]
fn broken_hashes_are_refused() {
    let stage = Stage::new();
    let dir = stage.path("requests");
    for (name, kind) in [("ec", ec("P-256")), ("rsa", rsa(2048))] {
        let key = key(&stage, name, &kind);
        for (hash, said) in [("-sha1", "SHA-1, which is broken"), ("-sha224", "SHA-224")] {
            let request = openssl_request(&dir, name, &key, &[hash]);
            let message = stage.refuses(BAD_INPUT, &request, &["--role", "alice"]);
            assert!(message.contains(said), "{message}");
            assert!(message.contains("SHA-256"), "{message}");
        }
    }
    let key = key(&stage, "md5", &rsa(2048));
    let request = openssl_request(&dir, "md5", &key, &["-md5"]);
    let message = stage.refuses(BAD_INPUT, &request, &["--role", "alice"]);
    assert!(message.contains("MD5, which is broken"), "{message}");
}

/// All that openssl can put into a request.
const WISHES: &str = "
[req]
distinguished_name = name
attributes = attributes
req_extensions = extensions
prompt = no
[name]
CN = mallory
O = Elsewhere
emailAddress = m@elsewhere.example
[attributes]
challengePassword = secret123
unstructuredName = nothing
[extensions]
basicConstraints = critical, CA:TRUE, pathlen:5
keyUsage = critical, keyCertSign, cRLSign
extendedKeyUsage = serverAuth, clientAuth, codeSigning
subjectAltName = DNS:db.example.com, email:m@elsewhere.example, URI:https://elsewhere.example/, RID:1.2.3.4, \
IP:10.0.0.66, dirName:name, otherName:1.2.3.4;UTF8:other
certificatePolicies = 1.2.3.4
nameConstraints = permitted;DNS:example.com
nsComment = comment
1.2.3.4.5 = ASN1:UTF8String:mine
tlsfeature = status_request
authorityInfoAccess = OCSP;URI:http://elsewhere.example/
";

#[test]
fn nothing_that_is_asked_for_is_copied() {
    let stage = Stage::new();
    let config = stage.path("requests/config");
    fs::write(&config, WISHES).unwrap();
    let key = key(&stage, "wishes", &ec("P-256"));
    let args = ["-config", text(&config), "-subj", "/CN=mallory/O=Elsewhere"];
    let request = openssl_request(&stage.path("requests"), "wishes", &key, &args);
    signed(&stage, &request, "PEM");
    stage.sign(&request, &["--host", "db", "--host", "10.0.0.5"]);
    let key = public_key(&request, "PEM");
    let folder = stage.path("signed/db");
    assert_server(&stage, &folder, "DNS:db, IP Address:10.0.0.5", &key);
    let message = stage.refuses(BAD_INPUT, &request, &["--trust-request"]);
    assert!(message.contains("other kinds"), "{message}");
}

#[test]
fn every_form_of_the_file() {
    let stage = Stage::new();
    let dir = stage.path("requests");
    let key = key(&stage, "form", &ec("P-384"));
    let plain = openssl_request(&dir, "plain", &key, &["-sha256"]);
    signed(&stage, &plain, "PEM");
    let der = openssl_request(&dir, "der", &key, &["-outform", "DER"]);
    signed(&stage, &der, "DER");
    for (name, args) in [("new", "-newhdr"), ("spelt-out", "-text")] {
        signed(&stage, &openssl_request(&dir, name, &key, &[args]), "PEM");
    }
    let pem = fs::read_to_string(&plain).unwrap();
    for (name, content) in [
        ("crlf", pem.replace('\n', "\r\n")),
        ("marked", format!("\u{feff}{pem}")),
        ("spaced", format!("\n\n  \n{pem}\n\n")),
        (
            "mailed",
            format!("Dear admin,\n\nhere it is:\n{pem}\nBye\n"),
        ),
        ("unended", pem.trim_end().to_owned()),
    ] {
        let file = dir.join(format!("{name}.csr"));
        fs::write(&file, content).unwrap();
        stage.sign(&file, &["--role", name]);
        let key = public_key(&plain, "PEM");
        assert_client(&stage, &stage.path("signed").join(name), name, &key);
    }
}

#[test]
fn made_by_gnutls() {
    let stage = Stage::new();
    let dir = stage.path("requests");
    for (name, key, request) in [
        ("p256", &["--ecc", "--curve", "secp256r1"][..], &[][..]),
        ("p384", &["--ecc", "--curve", "secp384r1"], &[]),
        (
            "p384-sha256",
            &["--ecc", "--curve", "secp384r1"],
            &["--hash", "SHA256"],
        ),
        (
            "p256-sha512",
            &["--ecc", "--curve", "secp256r1"],
            &["--hash", "SHA512"],
        ),
        ("rsa", &["--rsa", "--bits", "2048"], &[]),
        ("ed25519", &["--key-type", "ed25519"], &[]),
        ("der", &["--ecc", "--curve", "secp256r1"], &["--outder"]),
    ] {
        let form = if name == "der" { "DER" } else { "PEM" };
        signed(&stage, &gnutls(&dir, name, key, request), form);
    }
    for (name, key) in [
        ("p521", &["--ecc", "--curve", "secp521r1"][..]),
        ("ed448", &["--key-type", "ed448"]),
        ("rsa1024", &["--rsa", "--bits", "1024"]),
    ] {
        let request = gnutls(&dir, name, key, &[]);
        stage.refuses(BAD_INPUT, &request, &["--role", "alice"]);
    }
}

const PYTHON: &str = r#"
import sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID
import ipaddress

def request(name, key, digest):
    usage = dict.fromkeys(["digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "encipher_only", "decipher_only"], False)
    builder = x509.CertificateSigningRequestBuilder()
    builder = builder.subject_name(x509.Name([
        x509.NameAttribute(NameOID.COMMON_NAME, "mallory"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Elsewhere")]))
    builder = builder.add_extension(x509.BasicConstraints(True, 7), critical=True)
    builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName([
        x509.DNSName("db.example.com"), x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
        x509.RFC822Name("m@elsewhere.example"), x509.UniformResourceIdentifier("https://elsewhere.example")]), False)
    builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, b"secret")
    with open(sys.argv[1] + "/" + name + ".csr", "wb") as file:
        file.write(builder.sign(key, digest).public_bytes(serialization.Encoding.PEM))

for curve in [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1(), ec.BrainpoolP384R1()]:
    for digest in [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()]:
        request(curve.name + "-" + digest.name, ec.generate_private_key(curve), digest)
request("rsa2048", rsa.generate_private_key(65537, 2048), hashes.SHA512())
request("rsa2048-e3", rsa.generate_private_key(3, 2048), hashes.SHA256())
request("ed25519", ed25519.Ed25519PrivateKey.generate(), None)
"#;

#[test]
fn made_by_python() {
    let stage = Stage::new();
    let dir = stage.path("requests");
    python(&dir, PYTHON);
    let requests: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    assert_eq!(requests.len(), 18);
    for request in requests {
        let name = request.file_stem().unwrap().to_str().unwrap();
        let is_taken = ["secp256r1", "secp384r1", "rsa", "ed25519"];
        if is_taken.iter().any(|it| name.starts_with(it)) {
            signed(&stage, &request, "PEM");
        } else {
            let message = stage.refuses(BAD_INPUT, &request, &["--role", "alice"]);
            assert!(message.contains("use P-256, P-384"), "{message}");
        }
    }
}

const GO: &str = r#"
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"net"
	"net/url"
	"os"
)

func request(name string, key crypto.Signer, algorithm x509.SignatureAlgorithm) {
	uri, _ := url.Parse("spiffe://elsewhere.example/mallory")
	ca, _ := asn1.Marshal(struct{ CA bool }{true})
	template := x509.CertificateRequest{
		Subject:            pkix.Name{CommonName: "mallory", Organization: []string{"Elsewhere"}},
		SignatureAlgorithm: algorithm,
		DNSNames:           []string{"db.example.com"},
		IPAddresses:        []net.IP{net.ParseIP("10.0.0.66")},
		EmailAddresses:     []string{"m@elsewhere.example"},
		URIs:               []*url.URL{uri},
		ExtraExtensions:    []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: ca}},
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		panic(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	if err := os.WriteFile(os.Args[1]+"/"+name+".csr", block, 0o644); err != nil {
		panic(err)
	}
}

func main() {
	hashes := map[string]x509.SignatureAlgorithm{
		"sha256": x509.ECDSAWithSHA256, "sha384": x509.ECDSAWithSHA384, "sha512": x509.ECDSAWithSHA512}
	curves := map[string]elliptic.Curve{
		"p224": elliptic.P224(), "p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()}
	for curve, it := range curves {
		for hash, algorithm := range hashes {
			key, _ := ecdsa.GenerateKey(it, rand.Reader)
			request(curve+"-"+hash, key, algorithm)
		}
	}
	key, _ := rsa.GenerateKey(rand.Reader, 2048)
	request("rsa-sha256", key, x509.SHA256WithRSA)
	request("rsa-pss", key, x509.SHA384WithRSAPSS)
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	request("ed25519", private, x509.PureEd25519)
}
"#;

#[test]
fn made_by_go() {
    let stage = Stage::new();
    let dir = stage.path("requests");
    go(&dir, GO);
    let mut requests = 0;
    for entry in fs::read_dir(&dir).unwrap() {
        let request = entry.unwrap().path();
        if request.extension().unwrap() != "csr" {
            continue;
        }
        requests += 1;
        let name = request.file_stem().unwrap().to_str().unwrap();
        // Up to 1.19, Go signs with another padding than it says.
        let is_sound = openssl_verifies(&request);
        assert!(is_sound || name == "rsa-pss", "{name}");
        if name.starts_with("p224") || name.starts_with("p521") || !is_sound {
            stage.refuses(BAD_INPUT, &request, &["--role", "alice"]);
        } else {
            signed(&stage, &request, "PEM");
        }
    }
    assert_eq!(requests, 15);
}

#[test]
fn made_by_java() {
    let stage = Stage::new();
    let dir = stage.path("requests");
    let ec = |curve| ["-keyalg", "EC", "-groupname", curve];
    let extensions = ["-ext", "bc:c=ca:true", "-ext", "san=dns:db.example.com"];
    for (name, key, request) in [
        ("p256", &ec("secp256r1")[..], &extensions[..]),
        ("p384", &ec("secp384r1"), &extensions),
        (
            "p256-sha512",
            &ec("secp256r1"),
            &["-sigalg", "SHA512withECDSA"],
        ),
        (
            "p384-sha256",
            &ec("secp384r1"),
            &["-sigalg", "SHA256withECDSA"],
        ),
        ("rsa", &["-keyalg", "RSA", "-keysize", "2048"], &extensions),
        ("ed25519", &["-keyalg", "Ed25519"], &extensions),
    ] {
        let request = keytool(&dir, name, key, request);
        let pem = fs::read_to_string(&request).unwrap();
        assert!(pem.contains("NEW CERTIFICATE REQUEST"), "{pem}");
        signed(&stage, &request, "PEM");
    }
    for (name, key) in [
        ("p521", &ec("secp521r1")[..]),
        ("pss", &["-keyalg", "RSASSA-PSS", "-keysize", "2048"]),
    ] {
        let request = keytool(&dir, name, key, &[]);
        stage.refuses(BAD_INPUT, &request, &["--role", "alice"]);
    }
}

/// Every kind of key that `pgpki request` makes, for a role and for a server.
#[test]
fn made_by_pgpki() {
    let stage = Stage::new();
    for kind in ["p256", "p384", "rsa2048", "rsa3072", "ed25519"] {
        let request = stage.request(&[kind, "--key-algorithm", kind]);
        assert!(openssl_verifies(&request), "{kind}");
        stage.sign(&request, &["--role", kind]);
        let key = public_key(&request, "PEM");
        assert_client(&stage, &stage.path("signed").join(kind), kind, &key);
        let host = format!("{kind}.example.com");
        let args = ["--host", &host, "--host", "::1", "--key-algorithm", kind];
        let request = stage.request(&args);
        stage.sign(&request, &["--trust-request"]);
        let (key, hosts) = (
            public_key(&request, "PEM"),
            format!("DNS:{host}, IP Address:0:0:0:0:0:0:0:1"),
        );
        assert_server(&stage, &stage.path("signed").join(&host), &hosts, &key);
    }
}
