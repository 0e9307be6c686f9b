//! The suite of a version of `object_store`, each function on a fresh store.
//!
//! Not run: `multipart`, `multipart_with_opts`, `multipart_put_part_out_of_order` and `list_paginated`, which
//! are for `MultipartStore` and `PaginatedListStore`. Those name parts and pages beneath, where they have
//! other lengths, and an encrypted store does not implement them; `signing` and `response_extensions`, which
//! are for signed URLs and HTTP.

/// The version's crate; and of each store what makes it, whether it heeds conditions of updates, and whether the last
/// of two uploads at once wins.
#[allow(unused_macros, reason = "each test uses a part of what is here")]
macro_rules! suite {
    ($crate_name:ident: $($name:ident: $make:expr, $update:expr, $last_wins:expr;)+) => {$(
        mod $name {
            use $crate_name::{Error, integration::*};

            use super::*;

            #[tokio::test]
            async fn objects_are_put_listed_and_deleted() {
                put_get_delete_list(&$make).await;
            }

            #[tokio::test]
            async fn conditions_of_reads() {
                get_opts(&$make).await;
            }

            #[tokio::test]
            async fn directories_in_listings() {
                list_uses_directories_correctly(&$make).await;
            }

            #[tokio::test]
            async fn listings_with_a_delimiter() {
                list_with_delimiter(&$make).await;
            }

            #[tokio::test]
            async fn listings_from_an_offset() {
                list_with_offset_exclusivity(&$make).await;
            }

            #[tokio::test]
            async fn renames_and_copies() {
                rename_and_copy(&$make).await;
            }

            #[tokio::test]
            async fn copies_that_replace_nothing() {
                copy_if_not_exists(&$make).await;
            }

            #[tokio::test]
            async fn copies_of_what_is_not_there() {
                copy_rename_nonexistent_object(&$make).await;
            }

            #[tokio::test]
            async fn streams() {
                stream_get(&$make).await;
            }

            #[tokio::test]
            async fn conditions_of_writes() {
                put_opts(&$make, $update).await;
            }

            #[tokio::test]
            async fn attributes() {
                put_get_attributes(&$make).await;
            }

            #[tokio::test]
            async fn what_is_not_there() {
                let got = get_nonexistent_object(&$make, None).await;
                assert!(matches!(got, Err(Error::NotFound { .. })));
            }

            #[tokio::test]
            async fn two_uploads_at_once() {
                multipart_race_condition(&$make, $last_wins).await;
            }

            #[tokio::test]
            async fn parts_out_of_order() {
                multipart_out_of_order(&$make).await;
            }
        }
    )+};
}

pub(crate) use suite;
