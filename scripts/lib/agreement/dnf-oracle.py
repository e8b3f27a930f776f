"""Resolves requests with dnf, many in one process. stdin: JSON (OracleSetup of compare-with-dnf.ts); stdout: one JSON object per request."""
import json
import sys

import dnf
import dnf.exceptions
import dnf.module.module_base


def prepare(setup):
    base = dnf.Base()
    conf = base.conf
    conf.installroot = setup['root']
    conf.cachedir = setup['cache']
    conf.logdir = setup['cache']
    conf.persistdir = setup['cache'] + '/persist'
    conf.reposdir = []
    conf.varsdir = []
    conf.pluginpath = []
    conf.gpgcheck = False
    conf.best = False
    conf.substitutions['arch'] = setup['arch']
    conf.substitutions['basearch'] = setup['arch']
    conf.substitutions['releasever'] = '9'
    conf.install_weak_deps = setup['weak']
    conf.module_platform_id = setup['platform']
    for repo in setup['repositories']:
        base.repos.add_new_repo(repo['id'], conf, baseurl=[repo['url']], priority=repo['priority'],
                                excludepkgs=repo['exclude'], module_hotfixes=repo['hotfixes'])
    base.fill_sack(load_system_repo=False)
    if base.comps is None:
        base.read_comps(arch_filter=True)
    if setup['modules']:
        dnf.module.module_base.ModuleBase(base).enable(setup['modules'])
    return base


def main():
    setup = json.load(sys.stdin)
    base = prepare(setup)
    for request in setup['requests']:
        try:
            base.reset(goal=True)
            groups = [name[1:] for name in request if name.startswith('@')]
            if groups:
                base.env_group_install(groups, ('mandatory', 'default', 'conditional'), strict=True)
            for name in request:
                if not name.startswith('@'):
                    base.install(name)
            base.resolve(allow_erasing=False)
            chosen = sorted('%s-%d:%s-%s.%s' % (p.name, p.epoch, p.version, p.release, p.arch)
                            for p in base.transaction.install_set)
            print(json.dumps({'packages': chosen}), flush=True)
        except dnf.exceptions.Error as error:
            print(json.dumps({'error': str(error)[:2000]}), flush=True)


main()
