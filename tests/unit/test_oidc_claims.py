"""A provider's word is taken for what it says of this round trip, this app and an address that it has verified."""

import pytest

from codecoach.i18n import Notice
from codecoach.ui import oidc_claims

NOW = 1_800_000_000.0
GOOD = {
    "iss": "https://provider.example.com",
    "sub": "1",
    "aud": "us",
    "iat": NOW,
    "nonce": "of this round trip",
    "email": "Ann@Example.com",
    "email_verified": True,
}


def email(trusted: bool = False, **changed: object) -> str | Notice:
    return oidc_claims.email(GOOD | changed, "us", trusted)


def refusal(told: str | Notice) -> str:
    assert isinstance(told, Notice), f"taken for {told}"
    return told.key


def test_a_verified_address_is_taken_in_lower_case():
    assert email() == "ann@example.com"
    assert email(aud=["others", "us"]) == "ann@example.com"
    assert email(email_verified="true") == "ann@example.com"


@pytest.mark.parametrize("audience", ["others", ["others"], [], None, "", "us too", {"us": 1}])
def test_a_token_for_others_is_not_for_us_even_where_it_names_us_as_its_party(audience):
    assert refusal(email(aud=audience, azp="us")) == "oidc.incomplete"


@pytest.mark.parametrize("verified", [False, None, "false", "", 0, "yes"])
def test_an_address_that_nobody_verified_counts_only_where_the_provider_is_trusted(verified):
    assert refusal(email(email_verified=verified)) == "oidc.not_verified"
    assert email(trusted=True, email_verified=verified) == "ann@example.com"


@pytest.mark.parametrize("address", [None, "", "ann", 7, ["ann@example.com"], "ann@example.com\N{FULLWIDTH SOLIDUS}"])
def test_without_an_address_there_is_nobody_to_sign_in(address):
    assert refusal(email(trusted=True, email=address)) == "oidc.no_email"


def test_a_look_alike_is_not_the_address_that_its_lower_case_is():
    kelvin = "\N{KELVIN SIGN}im@example.com"
    assert kelvin.lower() == "kim@example.com"
    assert refusal(email(email=kelvin)) == "oidc.no_email"


def test_every_round_trip_has_a_proof_of_its_own():
    assert oidc_claims.proof(GOOD, NOW) == oidc_claims.proof(GOOD, NOW + 60)
    assert oidc_claims.proof(GOOD, NOW) != oidc_claims.proof(GOOD | {"nonce": "of another"}, NOW)


@pytest.mark.parametrize(
    "changed",
    [
        {"iat": NOW - 601},
        {"iat": NOW + 601},
        {"iat": None},
        {"iat": "now"},
        {"nonce": ""},
        {"nonce": None},
        {"nonce": 1},
    ],
    ids=str,
)
def test_what_is_old_or_without_a_nonce_proves_nothing(changed):
    assert oidc_claims.proof(GOOD | changed, NOW) is None
