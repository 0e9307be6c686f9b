# To seal and open with the key `orders`.
path "transit/keys/orders" {
  capabilities = ["read"]
}
path "transit/encrypt/orders" {
  capabilities = ["update"]
}
path "transit/decrypt/orders" {
  capabilities = ["update"]
}

# To sign with the key `tokens`.
path "transit/keys/tokens" {
  capabilities = ["read"]
}
path "transit/sign/tokens" {
  capabilities = ["update"]
}

# To keep a token alive and to tell a dead one. The policy `default` has these too.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
