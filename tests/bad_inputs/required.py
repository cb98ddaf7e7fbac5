"""Inputs that must be refused whatever else is: item -> its case (or the beginning of several cases' names)."""

REQUIRED = {
    "Sizes": {
        "hidden 0, -1, 2.5, True": ["hidden size 0", "hidden size -1", "hidden size 2.5", "hidden size True"],
        "depth 0, -1": ["depth 0", "depth -1"],
        "input size 0": ["input size 0"],
        "dropout below 0, 1 or more, NaN": ["dropout below 0", "dropout 1", "dropout NaN"],
        "bound 0 or less, NaN, infinite": ["bound 0", "bound -1", "bound NaN", "bound infinite"],
        "a start of u that no range gives": ["a start of u unknown", "a start of u that is none"],
        "activation, model, task, engine unknown": [
            "activation unknown", "model unknown on the command line", "config with an unknown task", "engine unknown",
        ],
    },
    "Sequence": {
        "T = 0, below 0, beyond memory": ["no time step", "a task of length -5", "a run longer than the memory"],
        "a state of another batch": ["a first state of another batch"],
        "a batch norm that sees one value": ["a batch norm that sees", "a batch norm over single steps"],
        "lengths 0, below 0, above T": ["a length of 0", "a length of -1", "a length over T"],
        "NaN and infinity in the input": ["a NaN in a training batch", "an infinity in a training batch"],
        "feature size, four dimensions": ["a wrong feature size", "four dimensions in a layer"],
        "whole numbers, float64, another device": ["whole numbers", "float64 in a float32", "another device"],
    },
    "Training": {
        "rate 0 or less, NaN": ["learning rate 0", "learning rate negative", "learning rate NaN"],
        "batch 0, batch above the set": ["batch 0", "batch larger than the split"],
        "steps 0, below 0": ["steps 0", "steps -5"],
        "clip 0 or less": ["clip 0", "clip -0.5"],
        "seed -1, 2**64, 1.7": ["seed -1", "seed 2**64", "seed 1.7"],
        "label out of range, empty split": ["a label out of range", "an empty split"],
    },
    "Parameters": {
        "unknown name, with what was meant": ["a parameter misspelt", "a field misspelt", "an experiment misspelt"],
        "a name that is code": ["a parameter whose name is code", "a change whose name is code"],
        "null, NaN, 1e400, 007": ["a rate null", "a rate NaN", "a rate of 1e400", "hidden 007"],
        "a JSON key twice": ["config with a key twice"],
        "no parameters cell, truncated notebook": ["a notebook without parameters", "a truncated notebook"],
        "a kernel that is unknown": ["a notebook of an unknown kernel"],
        "output over input, no notebook": ["output over its own source", "a notebook to execute that is not there"],
        "an id with ../, NUL, 300 characters": ["a run id that climbs", "a run id with a NUL", "a run id of 300"],
    },
    "Data": {
        "IDX: empty, magic, type, dimensions": [
            "an empty IDX file", "an IDX file of another magic", "an IDX file of another type",
            "an IDX file with a dimension 0", "an IDX file with a dimension 2**31",
        ],
        "IDX: a byte less, a byte more": ["an IDX file short by one byte", "an IDX file with a byte too many"],
        "labels for images, counts that differ": ["labels in place of images", "images and labels of different"],
        "gzip cut or with junk, a web page": ["a gzip stream cut short", "a gzip stream with junk", "a web page saved"],
        ".skeleton: frames, joints, bodies": [
            "a skeleton file of more frames", "a skeleton file of 24 joints", "a skeleton file of -1 bodies",
            "a skeleton file of 1.5 bodies",
        ],
        ".skeleton: no number, NaN, 1_0": ["a joint at a word", "a joint at NaN", "a joint at 1_0"],
        ".skeleton: no A### in its name, no list": ["a skeleton file without an action", "a list of unusable clips"],
        "UTF-16, BOM, no UTF-8, CRLF": [
            "a treebank in UTF-16", "a treebank with a byte order mark", "a treebank that is no UTF-8",
            "a treebank with CRLF",
        ],
        "empty vocabulary, unknown character": ["a treebank with an empty vocab", "a character that training lacks"],
        "hash mismatch": ["a run on altered data", "a treebank that was altered"],
    },
    "Store": {
        "a checkpoint of another config": ["a checkpoint of another run"],
        "weights that are NaN, u over its bound": ["weights that are NaN", "a checkpoint with u over its bound"],
        "a newer schema, another torch": ["a spec of a newer schema", "a checkpoint that torch cannot read"],
        "read-only results": ["results that are read-only"],
        "a record {} or empty": ["a spec {}", "an empty spec", "a result {}", "an empty result"],
        "a loop of links": ["a run's folder that is a link to itself", "results that are a link to themselves"],
    },
}  # fmt: skip
