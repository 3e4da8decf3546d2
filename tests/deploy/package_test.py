"""The package runs on a host that never built it: for another user, who can't read the build's cache, target or checkout.

Unpacks dist/cuecard-*.tar.zst; `make package` makes it. Prints the seconds from unpacking to the first card.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
import tomllib
import unittest

ROOT = pathlib.Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
NAME = f"cuecard-{VERSION}-linux-x86_64"
TARBALL = ROOT / "dist" / f"{NAME}.tar.zst"
# Nobody's own account: it owns no file and is in no group.
USER = 65534
# What of the machine that built the package it must do without.
HIDDEN = [os.environ["CUECARD_CACHE"], os.environ["CARGO_TARGET_DIR"], str(ROOT)]
# What ends a command that hangs, on however busy a machine.
PATIENCE = 600
CLIENT = {"CXONE_CLIENT_ID": "cxone-sim-client", "CXONE_CLIENT_SECRET": "cxone-sim-secret"}


def elves(package):
    return sorted([*package.glob("bin/*"), *package.glob("lib/*")])


@unittest.skipUnless(os.geteuid() == 0, "only root may become another user and hide the build from it")
class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = pathlib.Path(tempfile.mkdtemp(prefix="cuecard-package-"))
        cls.addClassCleanup(shutil.rmtree, cls.place)
        cls.place.chmod(0o755)
        cls.home = cls.place / "home"
        cls.home.mkdir()
        os.chown(cls.home, USER, USER)
        cls.began = time.monotonic()
        subprocess.run(["tar", "--extract", "--zstd", "--file", TARBALL, "--directory", cls.place], check=True)
        cls.package = cls.place / NAME

    def command(self, *arguments, **variables):
        """Runs as another user, in an environment with nothing but these variables, where the build does not exist."""
        hide = "".join(f"{{ [ ! -d '{place}' ] || mount -t tmpfs -o mode=000 none '{place}'; }} && " for place in HIDDEN)
        as_user = f"exec setpriv --reuid={USER} --regid={USER} --clear-groups --no-new-privs --bounding-set=-all"
        home = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "TMPDIR": str(self.home)}
        return {
            "args": ["unshare", "--mount", "sh", "-c", f'{hide}cd "$HOME" && {as_user} "$@"', "sh", *map(str, arguments)],
            "env": home | variables,
            "cwd": "/",
            "text": True,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
        }

    def run_in(self, *arguments, **variables):
        return subprocess.run(**self.command(*arguments, **variables), timeout=PATIENCE)

    def start(self, *arguments, **variables):
        process = subprocess.Popen(**self.command(*arguments, **variables))
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        return process

    def line(self, process, pattern):
        """The first match in what the process prints from now on."""
        said = []
        for line in process.stdout:
            said.append(line)
            if match := re.search(pattern, line):
                return match
        self.fail(f"it ended without {pattern}: {''.join(said)}")

    def test_a_card_is_seen_in_the_demo(self):
        demo = self.start(self.package / "bin/cuecard", "demo", "--port", "0", "--speed", "20")
        card = self.line(demo, r"^    card +\d+ ms  (.+)")
        print(f"\nfrom unpacking to the first card: {time.monotonic() - self.began:.1f} s ({card[1]})")

    def test_the_build_is_out_of_reach(self):
        for place in HIDDEN:
            self.assertNotEqual(self.run_in("ls", place).returncode, 0, place)

    def test_whoever_unpacks_it_has_the_same_and_it_works(self):
        own = self.home / "own"
        self.addCleanup(shutil.rmtree, own)
        self.assertEqual(self.run_in("mkdir", own).returncode, 0)
        # The tarball lies where this user can't look; it comes as a download would.
        with TARBALL.open("rb") as tarball:
            unpack = self.command("tar", "--extract", "--zstd", "--file", "-", "--directory", own)
            said = subprocess.run(**unpack, stdin=tarball, timeout=PATIENCE)
        self.assertEqual((said.returncode, said.stdout), (0, ""))

        def modes(package):
            return {str(file.relative_to(package)): oct(file.lstat().st_mode) for file in package.rglob("*")}

        package = own / NAME
        self.assertEqual(modes(package), modes(self.package))
        self.assertEqual({file.lstat().st_uid for file in package.rglob("*")}, {USER})
        checked = self.run_in("sh", "-c", f"cd '{package}' && sha256sum --check --strict --quiet SHA256SUMS")
        self.assertEqual((checked.returncode, checked.stdout), (0, ""))
        articles = package / "demo/articles.jsonl"
        said = self.run_in(package / "bin/cuecard", "ask", "can I take my router when I move", "--articles", articles)
        self.assertEqual(said.returncode, 0, said.stdout)
        self.assertIn("router", said.stdout)

    def test_a_link_to_the_program_finds_libraries_and_model(self):
        link = self.home / "cuecard"
        link.symlink_to(self.package / "bin/cuecard")
        said = self.run_in(link, "--version")
        self.assertEqual((said.returncode, said.stdout), (0, f"cuecard {VERSION}\n"))
        articles = self.package / "demo/articles.jsonl"
        said = self.run_in(link, "ask", "can I take my router when I move", "--articles", articles)
        self.assertEqual(said.returncode, 0, said.stdout)
        self.assertIn("router", said.stdout)

    def test_check_finds_all_well(self):
        demo = self.package / "demo"
        simulator = self.start(self.package / "bin/cxone-sim", "serve", "--port", "0", "--articles", demo / "articles.jsonl")
        base = self.line(simulator, r"desktop is at (http://[\d.:]+)/")[1]
        made = self.run_in(self.package / "bin/cuecard", "index", "--articles", demo / "articles.jsonl", "--index", "index")
        self.assertEqual(made.returncode, 0, made.stdout)
        variables = CLIENT | {"CXONE_CONTRACT": "insights", "CXONE_BASE_URL": base, "CUECARD_INDEX": "index"}
        said = self.run_in(self.package / "bin/cuecard", "check", **variables)
        self.assertEqual(said.returncode, 0, said.stdout)
        self.assertRegex(said.stdout, r"insights +ok +token, stream")

    def test_libraries_come_from_the_package_or_the_host(self):
        for file in elves(self.package):
            said = self.run_in("ldd", file).stdout
            self.assertNotIn("not found", said, file)
            found = [pathlib.Path(library).resolve() for library in re.findall(r"=> (/\S+)", said)]
            places = {library.parent for library in found if not library.is_relative_to("/usr/lib")}
            self.assertLessEqual(places, {self.package / "lib"}, file)

    def test_no_search_path_leads_out_of_the_package(self):
        for file in elves(self.package):
            paths = re.findall(r"\((?:RUNPATH|RPATH)\).*\[(.*)\]", subprocess.check_output(["readelf", "-d", file], text=True))
            self.assertTrue(set(paths) <= {"$ORIGIN", "$ORIGIN/../lib"}, (file, paths))

    def test_the_oldest_c_library_is_the_one_that_is_told(self):
        symbols = subprocess.check_output(["objdump", "--dynamic-syms", *elves(self.package)], text=True)
        newest = max(tuple(map(int, version.split("."))) for version in re.findall(r"GLIBC_([\d.]+)", symbols))
        told = f"glibc {'.'.join(map(str, newest))} or newer"
        for page in [self.package / "README.md", ROOT / "docs/deployment.md"]:
            self.assertIn(told, page.read_text(), page)

    def test_the_listing_depends_on_nothing_but_its_content(self):
        unpacked = subprocess.Popen(["zstd", "-dc", TARBALL], stdout=subprocess.PIPE)
        with unpacked, tarfile.open(fileobj=unpacked.stdout, mode="r|") as tar:
            members = tar.getmembers()
        names = [member.name for member in members]
        self.assertEqual(names, sorted(names, key=lambda name: name.split("/")))
        self.assertEqual({(member.uid, member.gid) for member in members}, {(0, 0)})
        self.assertEqual(len({member.mtime for member in members}), 1)
        modes = {member.mode & 0o777 for member in members}
        self.assertLessEqual(modes, {0o755, 0o644})

    def test_checksums_hold(self):
        said = self.run_in("sh", "-c", f"cd '{self.package}' && sha256sum --check --strict --quiet SHA256SUMS")
        self.assertEqual((said.returncode, said.stdout), (0, ""))
        listed = {line.split("  ", 1)[1] for line in (self.package / "SHA256SUMS").read_text().splitlines()}
        files = {str(file.relative_to(self.package)) for file in self.package.rglob("*") if file.is_file()}
        self.assertEqual(listed, files - {"SHA256SUMS"})
        expected = (TARBALL.parent / f"{TARBALL.name}.sha256").read_text().split()[0]
        with TARBALL.open("rb") as tarball:
            self.assertEqual(hashlib.file_digest(tarball, "sha256").hexdigest(), expected)

    def test_licences_of_all_that_is_bundled_are_there(self):
        licenses = self.package / "licenses"
        listed = set(re.findall(r"^  (\S+) \d", (licenses / "crates.txt").read_text(), re.MULTILINE))
        normal = ["cargo", "tree", "--workspace", "--edges", "normal", "--prefix", "none", "--format", "{p}", "--locked"]
        tree = subprocess.check_output(normal, cwd=ROOT, text=True).splitlines()
        used = {line.split()[0] for line in tree if line and not line.startswith("cuecard")}
        self.assertEqual(sorted(used - listed)[:5], [])
        for named in re.findall(r"`([\w.-]+\.txt)`", (licenses / "README.md").read_text()):
            self.assertTrue((licenses / named).is_file(), named)
        empty = [str(file) for file in licenses.rglob("*") if file.is_file() and file.stat().st_size == 0]
        self.assertEqual(empty, [])
        for pattern in ["torch-*.dist-info/LICENSE", "torch-*.dist-info/NOTICE", "nvidia_*.dist-info/License.txt"]:
            self.assertTrue(list(licenses.glob(pattern)), pattern)
        self.assertIn("Apache License", (self.package / "LICENSE").read_text())

    def test_manual_pages_and_completions_are_there(self):
        share = self.package / "share"
        pages = sorted(page.name for page in (share / "man/man1").iterdir())
        self.assertGreaterEqual(set(pages), {"cuecard.1", "cuecard-serve.1", "cuecard-ledger-backup.1"})
        for file in ["bash-completion/completions/cuecard", "zsh/site-functions/_cuecard", "fish/vendor_completions.d/cuecard.fish"]:
            self.assertIn("ledger", (share / file).read_text(), file)

    def test_nothing_held_back_is_handed_out(self):
        self.assertEqual(list(self.package.rglob("heldback*")), [])


if __name__ == "__main__":
    unittest.main()
