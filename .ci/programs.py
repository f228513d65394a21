"""Writes one program for each published library, which knows all of them by name only: their unpacked packages take the place of
crates.io.

usage: programs.py PACKAGES FOLDER < `cargo metadata --no-deps`, where PACKAGES holds the .crate files.
"""

import json
import pathlib
import shutil
import sys
import tarfile

packages, folder = map(pathlib.Path, sys.argv[1:])
shutil.rmtree(folder, ignore_errors=True)
folder.mkdir(parents=True)

libraries = [
    package
    for package in json.load(sys.stdin)["packages"]
    if package["publish"] != [] and any("lib" in target["kind"] for target in package["targets"])
]
patches = []
for package in libraries:
    name = f"{package['name']}-{package['version']}"
    with tarfile.open(packages / f"{name}.crate") as archive:
        archive.extractall(folder / "packages", filter="data")
    patches.append(f'{package["name"]} = {{ path = "packages/{name}" }}\n')

for package in libraries:
    name = package["name"]
    program = folder / f"uses-{name}"
    (program / "src").mkdir(parents=True)
    # The program's features are those of the crate, so that `cargo hack` enables them one by one.
    features = "".join(f'{feature} = ["{name}/{feature}"]\n' for feature in package["features"])
    (program / "Cargo.toml").write_text(
        f'[package]\nname = "uses-{name}"\nedition = "2024"\n'
        f'[dependencies]\n{name} = {{ version = "={package["version"]}", default-features = false }}\n'
        f"[features]\n{features}"
    )
    (program / "src/lib.rs").write_text(f"pub use {name.replace('-', '_')}::*;\n")

members = [f"uses-{package['name']}" for package in libraries]
(folder / "Cargo.toml").write_text(
    f'[workspace]\nresolver = "3"\nmembers = {json.dumps(members)}\nexclude = ["packages"]\n'
    f"[patch.crates-io]\n{''.join(patches)}"
)
# The same versions of everything else.
shutil.copy("Cargo.lock", folder)
