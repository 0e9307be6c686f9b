//! stub while being written
/// stub
pub enum KeyUri {}
/// stub
pub struct AwsKmsUri;
/// stub
pub struct AzureKeyVaultUri;
/// stub
pub struct GcpKmsUri;
/// stub
pub struct LocalUri;
/// stub
pub struct Pkcs11Uri;
/// stub
pub struct VaultUri;
/// stub
pub const SCHEMES: [&str; 7] = [""; 7];
