"""Cases that tests of other rooms hold, and cases that do not apply here, with the reason."""

from __future__ import annotations

ELSEWHERE: dict[str, dict[str, str]] = {
    "Archives of photos": {
        "Z01 a zip whose member is ../../x": "tests/collecting/test_archives.py::test_no_path_of_an_archive_is_followed",
        "Z02 a zip whose member is an absolute path": "tests/collecting/test_archives.py::test_no_path_of_an_archive_is_followed",
        "Z03 a tar whose member is ../../x": "tests/collecting/test_archives.py::test_no_path_of_an_archive_is_followed",
        "Z04 links in a tar": "tests/collecting/test_archives.py::test_links_and_devices_of_a_tar_are_refused",
        "Z05 devices and pipes in a tar": "tests/collecting/test_archives.py::test_links_and_devices_of_a_tar_are_refused",
        "Z06 links in a zip": "tests/collecting/test_archives.py::test_links_and_locked_files_of_a_zip_are_refused",
        "Z07 a zip bomb": "tests/collecting/test_archives.py::test_bombs_are_stopped_and_what_came_before_is_kept",
        "Z08 a header that is a bomb": "tests/collecting/test_archives.py::test_a_header_that_is_a_bomb_is_stopped",
        "Z09 a million members": "tests/collecting/test_archives.py::test_a_million_members_do_not_fill_the_memory",
        "Z10 damaged archives": "tests/collecting/test_archives.py::test_a_damaged_archive_gives_photos_refusals_or_one_line",
    },
    "Slow clients": {
        "W01 nothing is sent": "tests/serving/test_receiving.py::test_who_does_not_send_a_whole_request_in_time_is_let_go",
        "W02 half a header": "tests/serving/test_receiving.py::test_who_does_not_send_a_whole_request_in_time_is_let_go",
        "W03 half a body": "tests/serving/test_receiving.py::test_who_does_not_send_a_whole_request_in_time_is_let_go",
        "W04 twenty of them at once": "tests/serving/test_receiving.py::test_whole_requests_are_answered_meanwhile",
    },
    "Decoders": {
        "D01 a photo at which the decoder hangs": "tests/serving/test_decoding.py::test_one_that_takes_too_long_is_killed_and_replaced",
        "D02 a photo that takes all memory": "tests/serving/test_decoding.py::test_a_photo_that_wants_too_much_memory_is_refused",
        "D03 a photo that ends its process": "tests/serving/test_decoding.py::test_a_photo_that_ends_every_process_is_refused",
        "D04 decoders that are killed under load": "tests/serving/test_decoding.py::test_a_killed_decoder_is_no_matter_to_those_who_ask",
        "D05 a decoder knows no key": "tests/serving/test_decoding.py::test_it_is_told_no_secret",
    },
    "The page": {
        "X01 class names with markup": "tests/serving/test_page.py::test_names_are_never_markup",
        "X02 file names with markup": "tests/serving/test_page.py::test_names_are_never_markup",
        "X03 nothing is asked of other hosts": "tests/serving/test_page.py::test_nothing_is_asked_of_other_hosts_and_nothing_is_blocked",
        "X04 a strict Content-Security-Policy on every answer": "tests/serving/test_app.py::test_security_headers_are_on_every_answer",
        "X05 the page of the API has no script": "tests/serving/test_openapi.py::test_the_page_asks_nothing_of_others_and_runs_no_script",
        "X06 a Host with markup": "tests/serving/test_openapi.py::test_the_page_shows_a_hosts_name_as_text",
        "X07 an error does not show the server's insides": "tests/serving/test_app.py::test_a_bug_is_answered_without_its_insides",
        "X08 a session to steal": "does not apply: there are no cookies and no sessions",
    },
    "Lambda and its templates": {
        "I01 no right on *": "tests/deploying/test_deploy.py::test_the_template_passes_the_linter_and_grants_little",
        "I02 the function may only write its own log": "tests/deploying/test_deploy.py::test_the_template_passes_the_linter_and_grants_little",
        "I03 no address without access control unless asked for": "tests/deploying/test_deploy.py::test_no_address_is_open_unless_asked_for",
        "I04 the same in serverless.yml": "tests/deploying/test_deploy.py::test_the_serverless_file_says_the_same",
        "I05 bytes in the bucket are those that were sent": "tests/deploying/test_release.py::test_other_bytes_in_the_bucket_are_found",
        "I06 a package that was changed is not sent": "tests/deploying/test_release.py::test_a_package_that_was_changed_is_not_sent",
        "I07 nobody else's change is overwritten": "tests/deploying/test_release.py::test_the_alias_is_moved_from_the_revision_that_was_seen",
        "I08 junk events": "tests/serving/test_function.py::test_any_event_is_answered_and_none_raises",
        "I09 the log tells nothing of who asks": "tests/serving/test_function.py::test_a_line_of_the_log_tells_of_the_request_but_not_what_was_sent",
        "I10 a bucket that is open to the public": "tests/deploying/test_deploy.py::test_the_bundle_may_be_kept_apart",
    },
    "Not there to be attacked": {
        "N01 an API that manages models": "does not apply: bundles change by signals and files alone",
        "N02 deserialisation by Content-Type": "does not apply: bodies are photos, forms, or JSON of one text",
        "N03 files written by uploads": "does not apply: nothing of a request is written to the disk, unless feedback is asked for",
        "N04 signed addresses": "does not apply: there are none",
    },
}
