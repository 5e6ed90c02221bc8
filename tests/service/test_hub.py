"""The unmodified client of the Hub takes our server for the Hub."""

import hashlib
import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
from huggingface_hub import HfApi, HfFileSystem, hf_hub_download, scan_cache_dir, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile

from deployments.sample import write_model
from service.hub import HubServer
from tests.builders import CONFIG, MIB, NESTED, WEIGHTS, bytes_header, request, stored_bytes, write_tiny_model

MODEL = "org/tiny"
TOKEN = "hf_right"


@pytest.fixture
def server(store):
    with HubServer(store, page_size=3) as server:
        yield server


def download(server, cache, repo_id=MODEL, **options):
    options = {"token": False, "endpoint": server.url, "cache_dir": cache, **options}
    return Path(snapshot_download(repo_id, **options))


# --- the client agrees ----------------------------------------------------------------------------------


@pytest.mark.parametrize("xet", [False, True])
def test_a_downloaded_snapshot_is_the_stored_one(tmp_path, xet):
    store = tmp_path / "store"
    commit = write_tiny_model(store, xet=xet)
    with HubServer(store, page_size=3) as server:
        folder = download(server, tmp_path / "cache")
        checked = HfApi(endpoint=server.url).verify_repo_checksums(MODEL, cache_dir=tmp_path / "cache")
    assert folder.name == commit
    assert {path: (folder / path).read_bytes() for path in (CONFIG, NESTED, WEIGHTS)} == {
        path: stored_bytes(store, path) for path in (CONFIG, NESTED, WEIGHTS)
    }
    assert (checked.checked_count, checked.mismatches, checked.missing_paths, checked.extra_paths) == (3, [], [], [])
    for cache in (tmp_path / "cache", store):
        assert scan_cache_dir(cache).warnings == []


def test_the_listing_needs_no_record_of_it(own_store):
    with HubServer(own_store) as server:
        recorded = list(HfApi(endpoint=server.url).list_repo_tree(MODEL, recursive=True))
        shutil.rmtree(own_store / "models--org--tiny" / "trees")
        read_off_links = list(HfApi(endpoint=server.url).list_repo_tree(MODEL, recursive=True))
    assert read_off_links == recorded


def test_a_listing_comes_in_pages_and_is_whole(tmp_path):
    paths = sorted(f"part{n % 3}/{n:02}.txt" for n in range(10))
    write_model(tmp_path, MODEL, {path: path.encode() for path in paths})
    with HubServer(tmp_path, page_size=3) as server:
        entries = list(HfApi(endpoint=server.url).list_repo_tree(MODEL, recursive=True, expand=True))
        top = [entry.path for entry in HfApi(endpoint=server.url).list_repo_tree(MODEL)]
        inside = [entry.path for entry in HfApi(endpoint=server.url).list_repo_tree(MODEL, "part1")]
        first = request(f"{server.url}/api/models/{MODEL}/tree/main?recursive=true")
    assert [entry.path for entry in entries if isinstance(entry, RepoFile)] == paths
    assert len(json.loads(first.data)) == 3
    assert first.headers["Link"].startswith(f"<{server.url}/api/models/{MODEL}/tree/")
    assert top == ["part0", "part1", "part2"]
    assert inside == [path for path in paths if path.startswith("part1/")]


def test_digests_are_those_git_and_lfs_give(server, store, tmp_path):
    entries = {entry.path: entry for entry in HfApi(endpoint=server.url).list_repo_tree(MODEL, recursive=True)}
    weights = stored_bytes(store)
    sha256 = hashlib.sha256(weights).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(weights)}\n"
    work = tmp_path / "work"
    (work / "tokenizer").mkdir(parents=True)
    (work / WEIGHTS).write_text(pointer)
    for path in (CONFIG, NESTED):
        (work / path).write_bytes(stored_bytes(store, path))
    git = ["git", "-C", str(work)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "write-tree"], check=True, capture_output=True)
    indexed = subprocess.run([*git, "ls-files", "-s"], check=True, capture_output=True, text=True).stdout.split()
    folder = subprocess.run(
        [*git, "write-tree", "--prefix=tokenizer/"], check=True, capture_output=True, text=True
    ).stdout.strip()
    blob_ids = dict(zip(indexed[3::4], indexed[1::4], strict=True))
    assert {path: entries[path].blob_id for path in blob_ids} == blob_ids
    assert entries["tokenizer"].tree_id == folder
    assert (entries[WEIGHTS].lfs.sha256, entries[WEIGHTS].lfs.size) == (sha256, len(weights))
    assert entries[WEIGHTS].lfs.pointer_size == len(pointer)


def test_one_file_its_facts_and_its_header_are_to_be_had(server, store, tmp_path):
    api = HfApi(endpoint=server.url, token=False)
    path = hf_hub_download(MODEL, NESTED, endpoint=server.url, cache_dir=tmp_path / "cache", token=False)
    info = api.model_info(MODEL, files_metadata=True)
    facts = api.get_paths_info(MODEL, [CONFIG, "tokenizer", "absent"])
    assert Path(path).read_bytes() == stored_bytes(store, NESTED)
    assert (info.id, info.sha) == (MODEL, (store / "models--org--tiny/refs/main").read_text())
    assert [(file.rfilename, file.size) for file in info.siblings] == [
        (path, len(stored_bytes(store, path))) for path in (CONFIG, WEIGHTS, NESTED)
    ]
    assert [fact.path for fact in facts] == [CONFIG, "tokenizer"]
    assert api.get_safetensors_metadata(MODEL).parameter_count == {"U8": 3 * MIB + 17 - 256}
    assert HfFileSystem(endpoint=server.url, token=False).find(MODEL) == [
        f"{MODEL}/{path}" for path in (CONFIG, WEIGHTS, NESTED)
    ]


def test_a_name_without_organisation_a_branch_with_a_slash_and_a_moving_branch(tmp_path):
    store, branch = tmp_path / "store", "refs/pr/1"
    first = write_tiny_model(store, "gpt2")
    second = write_tiny_model(store, "gpt2", revision=branch, seed=1)
    with HubServer(store) as server:
        api = HfApi(endpoint=server.url, token=False)
        assert api.model_info("gpt2").sha == first
        assert api.model_info("gpt2", revision=branch).sha == second
        assert download(server, tmp_path / "cache", "gpt2", revision=branch).name == second
        assert {ref.name: ref.target_commit for ref in api.list_repo_refs("gpt2").branches} == {
            "main": first,
            branch: second,
        }
        third = write_tiny_model(store, "gpt2", seed=2)
        assert api.model_info("gpt2").sha == third
        assert api.model_info("gpt2", revision=first).sha == first


# --- the wire -------------------------------------------------------------------------------------------


def test_a_file_answers_whole_with_its_identity(server, store):
    answer = request(f"{server.url}/{MODEL}/resolve/main/{WEIGHTS}")
    whole = stored_bytes(store)
    assert (answer.status, answer.data) == (200, whole)
    assert answer.headers["Content-Length"] == answer.headers["X-Linked-Size"] == str(len(whole))
    assert answer.headers["ETag"] == answer.headers["X-Linked-ETag"] == f'"{hashlib.sha256(whole).hexdigest()}"'
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["X-Repo-Commit"] == (store / "models--org--tiny/refs/main").read_text()
    small = request(f"{server.url}/{MODEL}/resolve/main/{CONFIG}")
    assert (small.data, "X-Linked-ETag" in small.headers) == (stored_bytes(store, CONFIG), False)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("0-0", 0, 0),
        ("5-", 5, None),
        ("1048570-2097170", 1048570, 2097170),
        ("-3", -3, None),
        ("3000000-99999999", 3000000, None),
    ],
)
def test_a_range_is_exactly_that_range(server, store, asked, first, last):
    whole = stored_bytes(store)
    start, stop = first % len(whole), len(whole) if last is None else last + 1
    answer = request(f"{server.url}/{MODEL}/resolve/main/{WEIGHTS}", headers={"Range": f"bytes={asked}"})
    assert (answer.status, answer.data) == (206, whole[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(whole)}"


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=0-1,4-5", "bytes=-", "lines=1-2", "bytes=x-"])
def test_what_is_no_single_range_is_answered_whole(server, store, asked):
    answer = request(f"{server.url}/{MODEL}/resolve/main/{CONFIG}", headers={"Range": asked})
    assert (answer.status, answer.data) == (200, stored_bytes(store, CONFIG))


def test_a_range_of_other_content_is_answered_whole(server, store):
    url, asked = f"{server.url}/{MODEL}/resolve/main/{CONFIG}", bytes_header(0, 3)
    tag = request(url).headers["ETag"]
    assert request(url, headers={**asked, "If-Range": tag}).status == 206
    assert request(url, headers={**asked, "If-Range": '"other"'}).data == stored_bytes(store, CONFIG)


@pytest.mark.parametrize("asked", [f"bytes={3 * MIB + 17}-", "bytes=99999999-", "bytes=-0"])
def test_a_range_past_the_end_is_refused_with_the_size(server, asked):
    answer = request(f"{server.url}/{MODEL}/resolve/main/{WEIGHTS}", headers={"Range": asked})
    assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{3 * MIB + 17}")


@pytest.mark.parametrize(
    "path", [f"/{MODEL}/resolve/main/{WEIGHTS}", f"/api/models/{MODEL}", f"/api/models/{MODEL}/tree/main"]
)
def test_head_says_what_get_says(server, path):
    head, got = request(server.url + path, "HEAD"), request(server.url + path)
    differing = {"Date"}
    assert (head.status, head.data) == (got.status, b"")
    assert {k: v for k, v in head.headers.items() if k not in differing} == {
        k: v for k, v in got.headers.items() if k not in differing
    }


def test_many_requests_share_a_connection_and_many_connections_the_server(server, store):
    host = server.url.removeprefix("http://")

    def ask(_):
        connection = http.client.HTTPConnection(host, timeout=10)
        answers = []
        for path in [CONFIG, WEIGHTS, "absent", NESTED] * 3:
            connection.request("GET", f"/{MODEL}/resolve/main/{path}")
            answers.append(connection.getresponse().read())
        connection.close()
        return answers[0::4] + answers[3::4]

    with ThreadPoolExecutor(16) as pool:
        expected = [stored_bytes(store, CONFIG)] * 3 + [stored_bytes(store, NESTED)] * 3
        assert list(pool.map(ask, range(16))) == [expected] * 16


def test_an_empty_file_is_a_file(tmp_path):
    write_model(
        tmp_path / "store", MODEL, {"__init__.py": b"", "empty.bin": b""}, lfs=lambda path, _: path == "empty.bin"
    )
    with HubServer(tmp_path / "store") as server:
        folder = download(server, tmp_path / "cache")
        assert request(f"{server.url}/{MODEL}/resolve/main/empty.bin", headers=bytes_header(0)).status == 416
    assert [path.read_bytes() for path in folder.iterdir()] == [b"", b""]


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"GET /a b HTTP/1.1 x\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
        b"GET /\rX HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_ends(server, raw):
    with socket.create_connection(server.server_address, timeout=10) as connection:
        connection.sendall(raw)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 4")
    assert b"Connection: close" in answer


# --- what is refused ------------------------------------------------------------------------------------


def test_the_client_raises_the_error_of_each_refusal(server, tmp_path):
    api = HfApi(endpoint=server.url, token=False)
    for repo_id in ("org/absent", "absent"):
        with pytest.raises(RepositoryNotFoundError):
            api.model_info(repo_id)
        with pytest.raises(RepositoryNotFoundError):
            download(server, tmp_path / "cache", repo_id)
    for revision in ("absent", "0" * 40, "refs/pr/7"):
        with pytest.raises(RevisionNotFoundError):
            api.model_info(MODEL, revision=revision)
    with pytest.raises(RevisionNotFoundError):
        download(server, tmp_path / "cache", revision="absent")
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download(MODEL, "absent.bin", endpoint=server.url, cache_dir=tmp_path / "cache", token=False)
    with pytest.raises(RemoteEntryNotFoundError):
        list(api.list_repo_tree(MODEL, "absent"))


def test_private_and_gated_models_open_to_the_token_alone(own_store, tmp_path):
    write_tiny_model(own_store, "org/private")
    write_tiny_model(own_store, "org/gated")
    with HubServer(own_store, token=TOKEN, private={"org/private"}, gated={"org/gated"}) as server:
        api = HfApi(endpoint=server.url)
        for token in (False, "hf_wrong"):
            with pytest.raises(RepositoryNotFoundError):
                api.model_info("org/private", token=token)
            with pytest.raises(GatedRepoError):
                download(server, tmp_path / "cache", "org/gated", token=token)
            assert api.model_info("org/gated", token=token).gated == "manual"
        for repo_id in ("org/private", "org/gated"):
            assert (download(server, tmp_path / "cache", repo_id, token=TOKEN) / CONFIG).exists()
        unknown, private = (request(f"{server.url}/api/models/org/{name}") for name in ("absent", "private"))
        url = f"{server.url}/org/gated/resolve/main/{CONFIG}"
        assert (unknown.status, unknown.data) == (private.status, private.data)
        assert unknown.status == 401
        assert request(url).status == 401
        assert request(url, headers={"Authorization": "Bearer hf_wrong"}).status == 403
        assert request(url, headers={"Authorization": f"Bearer {TOKEN}"}).status == 200
        for spelling in ("%20org/private", "org/private%20", "org%2Fprivate", "org/private@main"):
            assert request(f"{server.url}/api/models/{spelling}").status == 401


@pytest.mark.parametrize("route", ["/{}/resolve/main/{}", "/api/models/{}/tree/main/{}"])
@pytest.mark.parametrize(
    "path",
    [
        "../../../../secret",
        "../../refs/main",
        "..%2F..%2F..%2F..%2Fsecret",
        "%2E%2E/%2E%2E/refs/main",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "./config.json",
        "tokenizer/../config.json",
        "tokenizer//vocab.txt",
        "config.json%00",
    ],
)
def test_no_path_leads_out_of_the_snapshot(store, tmp_path, route, path):
    (tmp_path / "secret").write_text("secret")
    with HubServer(store) as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
        connection.request("GET", route.format(MODEL, path))
        answer = connection.getresponse()
        assert (answer.status, answer.headers["X-Error-Code"]) == (404, "EntryNotFound")
        assert json.loads(answer.read())["error"].endswith("does not exist")
        connection.close()


@pytest.mark.parametrize(
    "revision", ["../main", "..%2F..%2Fmodels--org--tiny%2Frefs%2Fmain", "%2Fetc%2Fhostname", "main%00", "a%0Ab"]
)
def test_no_revision_leads_out_of_the_refs(server, revision):
    answer = request(f"{server.url}/api/models/{MODEL}/revision/{revision}")
    assert answer.status == 404


def test_a_link_out_of_the_store_hides_the_snapshot(own_store, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (own_store / "models--org--tiny" / "blobs" / "secret").symlink_to(tmp_path / "secret")
    snapshot = next((own_store / "models--org--tiny" / "snapshots").iterdir())
    (snapshot / CONFIG).unlink()
    (snapshot / CONFIG).symlink_to("../../blobs/secret")
    with HubServer(own_store) as server:
        assert request(f"{server.url}/{MODEL}/resolve/main/{CONFIG}").status == 404


@pytest.mark.parametrize("hostile", ["../../../../secret", "/etc/passwd", "a/../config.json", ""])
def test_a_listing_with_a_path_out_of_the_snapshot_is_not_served(own_store, hostile):
    tree = next((own_store / "models--org--tiny" / "trees").iterdir())
    listing = json.loads(tree.read_text())
    listing["files"][hostile] = listing["files"][CONFIG]
    tree.write_text(json.dumps(listing))
    with HubServer(own_store) as server:
        assert request(f"{server.url}/api/models/{MODEL}").headers["X-Error-Code"] == "RevisionNotFound"


def test_only_finished_snapshots_are_served(own_store):
    model = own_store / "models--org--tiny"
    commit = (model / "refs" / "main").read_text()
    blob = model / "blobs" / (model / "snapshots" / commit / CONFIG).readlink().name
    (model / "refs" / "ahead").write_text("1" * 40)
    (model / "refs" / "torn").write_text(commit[:20])
    with HubServer(own_store) as server:
        urls = [f"{server.url}/api/models/{MODEL}/revision/{name}" for name in ("ahead", "torn", "main", commit)]
        blob.rename(model / "aside")
        assert [request(url).headers.get("X-Error-Code") for url in urls] == ["RevisionNotFound"] * 4
        (model / "aside").rename(blob)
        assert [request(url).status for url in urls] == [404, 404, 200, 200]


def test_a_store_that_cannot_be_read_is_the_fault_of_the_server(own_store, caplog):
    loop = own_store / "models--org--tiny" / "refs" / "loop"
    loop.symlink_to("loop")
    with HubServer(own_store) as server:
        answer = request(f"{server.url}/api/models/{MODEL}/revision/loop")
    assert (answer.status, str(own_store).encode() in answer.data) == (500, False)
    assert str(loop) in caplog.text


def test_a_blob_that_moves_while_it_is_served_is_still_found(own_store):
    model = own_store / "models--org--tiny"
    blob = model / "blobs" / next((model / "snapshots").iterdir()).joinpath(CONFIG).readlink().name
    with HubServer(own_store) as server:
        url = f"{server.url}/{MODEL}/resolve/main/{CONFIG}"
        before = request(url).data
        blob.rename(own_store / "shared")
        blob.symlink_to("../../shared")
        assert request(url).data == before
        (own_store / "shared").unlink()
        assert request(url).headers["X-Error-Code"] == "EntryNotFound"


def test_closing_ends_idle_connections_and_frees_the_port(store):
    with HubServer(store) as server:
        idle = socket.create_connection(server.server_address, timeout=10)
        request(f"{server.url}/api/models/{MODEL}")
        port = server.server_address[1]
    assert idle.recv(1) == b""
    idle.close()
    with HubServer(store, port=port) as again:
        assert request(f"{again.url}/api/models/{MODEL}").status == 200


def test_the_command_serves_until_it_is_told_to_stop(store):
    command = [sys.executable, "-m", "service", "--store", str(store), "--latency-ms", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        assert request(f"{url}/api/models/{quote(MODEL)}").status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
