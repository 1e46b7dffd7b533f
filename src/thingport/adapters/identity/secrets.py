"""Random secrets, and the digests under which they are kept."""

import hashlib
import secrets

from thingport.application.identity import SecretKind

_PREFIXES = {
    SecretKind.API_KEY: "tp_key_",
    SecretKind.ACCESS_TOKEN: "tp_pat_",
    SecretKind.REFRESH_TOKEN: "tp_ref_",
}
"""How each kind begins, so that a leaked one is recognised by scanners and people."""

_RANDOM_BYTES = 32
"""256 bits: nobody guesses one, so a fast digest without salt hides it."""


class RandomSecrets:
    """Secrets from the system's random source."""

    def new_secret(self, kind: SecretKind) -> str:
        """Give a secret that was never given before."""
        return f"{_PREFIXES[kind]}{secrets.token_urlsafe(_RANDOM_BYTES)}"

    def digest(self, secret: str) -> str:
        """Give what is stored of a secret: SHA-256 of its text, lower-case hex.

        No slow password hash: that protects what people choose. This digest is
        looked up in an index, and nothing can be guessed from it.
        """
        return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
