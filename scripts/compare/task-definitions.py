"""Compares datasets/clip with FusionBench: classes, prompts and data sets of the tasks, models of the suites.

    python -m venv venv && venv/bin/pip install pyyaml
    venv/bin/python scripts/compare/task-definitions.py

Downloads fusion-bench from PyPI (the package alone, none of what it needs) into a temporary folder, reads its files of classes and prompts by
themselves, and prints every difference. Exit status 1 if there is any. `--wheel FILE` takes a package that is there already.
"""
import argparse
import importlib.util
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import yaml

CLIP = pathlib.Path(__file__).parents[2] / "datasets" / "clip"
VERSION = "0.2.33"
# Files of FusionBench whose names are not our tasks' names with underscores.
MODULES = {"oxford_flowers102": "flower102"}
# Names that the hub has given to data sets since; the old ones lead there.
RENAMED = {"svhn": "ufldl-stanford/svhn", "mnist": "ylecun/mnist"}
# FER2013 comes from a function of FusionBench's; this is its default.
BY_FUNCTION = {"fusion_bench.dataset.fer2013.load_fer2013": "clip-benchmark/wds_fer2013"}


def package_folder(wheel, folder):
    if wheel is None:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        subprocess.run([*command, f"fusion-bench=={VERSION}"], check=True)
        wheel = next(pathlib.Path(folder).glob("fusion_bench-*.whl"))
    zipfile.ZipFile(wheel).extractall(folder)
    return pathlib.Path(folder)


def classes_and_templates(package, task):
    """Of the module of a task, loaded without its package, which would need torch."""
    module_name = MODULES.get(task, task.replace("-", "_"))
    path = package / "fusion_bench" / "tasks" / "clip_classification" / f"{module_name}.py"
    spec = importlib.util.spec_from_file_location(module_name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    classes = module.fine_label if task == "cifar100" else module.classnames
    return classes, module.templates


def data_set(package, task, split):
    """Repository, config and split that FusionBench judges a task on."""
    path = package / "fusion_bench_config" / "dataset" / "image_classification" / split / f"{task}.yaml"
    config = yaml.safe_load(path.read_text())[task]
    name, *more = config.get("_args_", [config.get("path", BY_FUNCTION.get(config["_target_"]))])
    return RENAMED.get(name, name), more[0] if more else None, config["split"]


def differences(package, task, definition):
    classes, templates = classes_and_templates(package, task)
    head = definition["head"]["zero_shot"]
    if definition["classes"] != classes:
        different = [pair for pair in zip(definition["classes"], classes) if pair[0] != pair[1]]
        yield f"classes: {len(definition['classes'])} and {len(classes)}, first differences {different[:3]}"
    ours = [
        [template.replace("{}", name) for template in head["templates"]]
        for name in head.get("names", definition["classes"])
    ]
    theirs = [[template(name) for template in templates] for name in classes]
    if ours != theirs:
        pairs = [pair for mine, other in zip(ours, theirs) for pair in zip(mine, other) if pair[0] != pair[1]]
        yield f"prompts: {len(ours[0])} and {len(theirs[0])} of a class, first differences {pairs[:2]}"
    dataset = definition["dataset"]
    path = dataset["path"].split("@")[0]
    theirs_path, theirs_config, theirs_split = data_set(package, task, "test")
    if path != theirs_path:
        yield f"data set: {path} and {theirs_path}"
    # A config that FusionBench does not name is the only one.
    if theirs_config is not None and dataset.get("config") != theirs_config:
        yield f"config: {dataset.get('config')} and {theirs_config}"
    if dataset["splits"]["test"] != theirs_split:
        yield f"test split: {dataset['splits']['test']} and {theirs_split}"


def model_differences(package, suite):
    """Repositories of the base and the experts."""

    def repository(name):
        config = yaml.safe_load((package / "fusion_bench_config" / "model" / "clip-vit" / f"{name}.yaml").read_text())
        (path,) = config.values()
        return path

    base = suite["base"].split("/")[1]
    pairs = [(suite["base"], repository(base))]
    pairs += [(task["expert"], repository(f"{base}_{task['name']}")) for task in suite["tasks"]]
    for ours, theirs in pairs:
        if ours != theirs:
            yield f"model: {ours} and {theirs}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", help="fusion_bench-*.whl")
    arguments = parser.parse_args()
    found = 0
    with tempfile.TemporaryDirectory() as folder:
        package = package_folder(arguments.wheel, folder)
        tasks = sorted((CLIP / "tasks").glob("*.yaml"))
        suites = sorted(CLIP.glob("*.yaml"))
        for file in [*tasks, *suites]:
            value = yaml.safe_load(file.read_text())
            found_here = model_differences(package, value) if "tasks" in value else differences(package, file.stem, value)
            for difference in found_here:
                found += 1
                print(f"{file.stem}: {difference}")
    print(f"{len(tasks)} tasks and {len(suites)} suites compared with FusionBench {VERSION}: {found} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
