package tokens

import (
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
)

// What an encrypted claim may use. Password-based key wrapping and RSA1_5 are
// left out on purpose (RFC 8725 section 3.2).
var (
	jweKeyAlgorithms = []jose.KeyAlgorithm{
		jose.DIRECT, jose.A128KW, jose.A192KW, jose.A256KW, jose.A128GCMKW, jose.A192GCMKW, jose.A256GCMKW,
		jose.ECDH_ES, jose.ECDH_ES_A128KW, jose.ECDH_ES_A192KW, jose.ECDH_ES_A256KW, jose.RSA_OAEP, jose.RSA_OAEP_256,
	}
	jweContentEncryptions = []jose.ContentEncryption{
		jose.A128GCM, jose.A192GCM, jose.A256GCM, jose.A128CBC_HS256, jose.A192CBC_HS384, jose.A256CBC_HS512,
	}
)

var (
	errNotJWE    = errors.New("claim is not a JWE in compact form")
	errNoDecrypt = errors.New("no key decrypts the claim")
)

// decryptClaim opens a claim that RFC 9246 wants as a JWE (RFC 7516) in compact
// form. Only keys of the set with use "enc" are tried.
func decryptClaim(set *KeySet, claim string) (string, error) {
	jwe, err := jose.ParseEncryptedCompact(claim, jweKeyAlgorithms, jweContentEncryptions)
	if err != nil {
		return "", errNotJWE
	}
	if set == nil {
		return "", errNoDecrypt
	}
	tried := 0
	for _, key := range set.keys {
		if key.decrypt == nil || jwe.Header.KeyID != "" && key.id != "" && key.id != jwe.Header.KeyID {
			continue
		}
		// With "dir" the key's alg names the content encryption (RFC 7518
		// section 4.5), which go-jose holds to the key's size.
		if key.jweAlg != "" && jwe.Header.Algorithm != string(jose.DIRECT) && key.jweAlg != jwe.Header.Algorithm {
			continue
		}
		if tried++; tried > maxCandidateKeys {
			break
		}
		if plain, err := jwe.Decrypt(key.decrypt); err == nil {
			return string(plain), nil
		}
	}
	return "", errNoDecrypt
}

// EncryptClaim makes the value of a cdniip or sub claim: text encrypted with the
// set's first symmetric key of use "enc" (of that id where kid is not empty), as
// a JWE in compact form with "dir" and AES-GCM by the key's size (16 or 32
// bytes). cdniip is an address or prefix such as "192.0.2.0/24".
func EncryptClaim(set *KeySet, kid, text string) (string, error) {
	for _, key := range set.keys {
		secret, ok := key.decrypt.([]byte)
		if !ok || kid != "" && key.id != kid {
			continue
		}
		enc := jose.A128GCM
		if len(secret) == 32 {
			enc = jose.A256GCM
		}
		encrypter, err := jose.NewEncrypter(enc, jose.Recipient{Algorithm: jose.DIRECT, Key: secret, KeyID: key.id}, nil)
		if err != nil {
			return "", fmt.Errorf("encrypt claim: %w", err)
		}
		jwe, err := encrypter.Encrypt([]byte(text))
		if err != nil {
			return "", fmt.Errorf("encrypt claim: %w", err)
		}
		return jwe.CompactSerialize()
	}
	return "", fmt.Errorf("encrypt claim: %w: no symmetric key with use \"enc\"", ErrBadKeys)
}
