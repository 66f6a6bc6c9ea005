#!/usr/bin/env python3
"""The direction of the arrows: an include that points upwards does not compile, and each library is included by one layer only.

    layers.py SOURCE_DIR BUILD_DIR

For every layer, one of its own compile commands is taken from compile_commands.json and tried on a file that includes a header of another layer."""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

source, build = map(os.path.abspath, sys.argv[1:3])

# layer: layers that it may include from
ALLOWED = {
    'basic': set(),
    'model': {'basic'},
    'store': {'basic', 'model'},
    'exec': {'basic', 'model'},
    'engine': {'basic', 'model', 'store', 'exec'},
    'bus': {'basic', 'model', 'store', 'exec', 'engine'},
    'ctl': {'basic', 'model'},
    'agent': {'basic'},
}
# A header of its own that each layer has.
HEADER = {'basic': 'json.h', 'model': 'run.h', 'store': 'store.h', 'exec': 'executor.h', 'engine': 'engine.h', 'bus': 'bus.h'}
# Libraries: header -> paths (below src) that may include it.
ONLY = {
    'sqlite3.h': ('store/',),
    'json-c/': ('basic/',),
    'yaml.h': ('basic/',),
    'ini.h': ('basic/',),
    'sha2.h': ('basic/',),
    'libsmartcols': ('ctl/',),
    'sd-bus.h': ('bus/', 'exec/exec-unit.c', 'daemon/', 'ctl/', 'agent/'),
}

passed = failed = 0


def check(ok, what):
    global passed, failed
    passed, failed = passed + ok, failed + (not ok)
    if not ok:
        print('not ok: ' + what)


def command_of(layer):
    with open(os.path.join(build, 'compile_commands.json'), encoding='utf-8') as f:
        for entry in json.load(f):
            path = os.path.normpath(os.path.join(entry['directory'], entry['file']))
            if path.startswith(os.path.join(source, 'src', layer) + os.sep):
                return entry['directory'], shlex.split(entry['command'])
    sys.exit('no file of src/%s in compile_commands.json' % layer)


def compiles(layer, header, scratch):
    directory, argv = command_of(layer)
    argv = [a for a in argv if a not in ('-MD',)]
    for option in ('-o', '-MQ', '-MF', '-c'):
        if option in argv:
            i = argv.index(option)
            del argv[i:i + 2]
    path = os.path.join(scratch, 'try.c')
    with open(path, 'w', encoding='ascii') as f:
        f.write('#include "%s"\n' % header)
    return subprocess.run(argv + ['-fsyntax-only', path], cwd=directory, capture_output=True).returncode == 0


def arrows():
    with tempfile.TemporaryDirectory() as scratch:
        for layer, allowed in ALLOWED.items():
            for other, header in HEADER.items():
                if other == layer:
                    check(compiles(layer, header, scratch), '%s does not find its own %s: this test proves nothing' % (layer, header))
                elif other in allowed:
                    continue
                else:
                    check(not compiles(layer, header, scratch), 'src/%s can include %s of src/%s' % (layer, header, other))


def libraries():
    for root, _, files in os.walk(os.path.join(source, 'src')):
        for name in files:
            if not name.endswith(('.c', '.h')):
                continue
            path = os.path.relpath(os.path.join(root, name), os.path.join(source, 'src'))
            with open(os.path.join(root, name), encoding='utf-8') as f:
                includes = re.findall(r'^\s*#\s*include\s*<([^>]+)>', f.read(), re.M)
            for header, places in ONLY.items():
                if any(header == i or i.endswith('/' + header) or i.startswith(header) for i in includes):
                    check(path.startswith(places), '%s includes <%s>' % (path, header))


arrows()
libraries()
print('%d passed, %d failed' % (passed, failed))
sys.exit(1 if failed else 0)
