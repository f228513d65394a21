"""Writes a workspace in which the packages of this one take the place of crates.io: one program for each published library,
which knows all of them by name only, and the published programs.

usage: programs.py PACKAGES FOLDER < `cargo metadata --no-deps`, where PACKAGES holds the .crate files.
"""

import json
import pathlib
import shutil
import sys
import tarfile
import tomllib

packages, folder = map(pathlib.Path, sys.argv[1:])
shutil.rmtree(folder, ignore_errors=True)
folder.mkdir(parents=True)

# Not by RUSTFLAGS, with which every dependency would be compiled again.
LINTS = '[lints.rust]\nwarnings = "deny"\n'

members, patches = [], []
for package in json.load(sys.stdin)["packages"]:
    if package["publish"] == []:
        continue
    name, version = package["name"], package["version"]
    path = f"packages/{name}-{version}"
    with tarfile.open(packages / f"{name}-{version}.crate") as archive:
        archive.extractall(folder / "packages", filter="data")
    manifest = folder / path / "Cargo.toml"
    text = manifest.read_text()
    assert text.count("[lints.rust]\n") == 1, f"{manifest} has no lints"
    manifest.write_text(text.replace("[lints.rust]\n", LINTS))

    if not any("lib" in target["kind"] for target in package["targets"]):
        members.append(path)
        continue
    patches.append(f'{name} = {{ path = "{path}" }}\n')
    members.append(f"uses-{name}")
    program = folder / f"uses-{name}"
    (program / "src").mkdir(parents=True)
    # The program's features are those of the crate, so that `cargo hack` enables them one by one.
    features = "".join(f'{feature} = ["{name}/{feature}"]\n' for feature in package["features"])
    (program / "Cargo.toml").write_text(
        f'[package]\nname = "uses-{name}"\nedition = "2024"\n'
        f'[dependencies]\n{name} = {{ version = "={version}", default-features = false }}\n'
        f"[features]\n{features}{LINTS}"
    )
    (program / "src/lib.rs").write_text(f"pub use {name.replace('-', '_')}::*;\n")

# The same profile and the same versions of everything else, so that what is compiled already can be used.
profile = tomllib.loads(pathlib.Path("Cargo.toml").read_text())["profile"]["dev"]
dependencies = profile.pop("package")["*"]


def settings(profile):
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in profile.items())


(folder / "Cargo.toml").write_text(
    f'[workspace]\nresolver = "3"\nmembers = {json.dumps(members)}\nexclude = ["packages"]\n'
    f'[profile.dev]\n{settings(profile)}[profile.dev.package."*"]\n{settings(dependencies)}'
    f"[patch.crates-io]\n{''.join(patches)}"
)
shutil.copy("Cargo.lock", folder)
