# shellcheck shell=bash
# What control-stack.sh says with -h, -hh and -hhh.

help_short() {
  cat <<'HELP'
Usage: scripts/control-stack.sh [-h|-hh|-hhh] [OPTION...] STACK ACTION...

STACK:  main gui object_store dev_registry, or all
ACTION: maintenance backup stop networks check build push restore deploy start restart upgrade
        status logs support

Deploys Headrace on the Docker Swarm whose manager DOCKER_HOST names. From nothing to running:
  scripts/control-stack.sh all networks check build push deploy
-hh tells all options and actions, -hhh explains and gives examples.
HELP
}

help_full() {
  help_short
  cat <<'HELP'

Options
  --env-file FILE      what the deployment is (.env of the project; docker/example.env explains it);
                       the first call writes it, and the secrets beside it
  --name NAME          another HEADRACE_STACK than that of the env file
  --registry ADDRESS   another HEADRACE_REGISTRY
  --tag TAG            another HEADRACE_TAG
  --compose-file FILE  a Compose file whose settings win over ours; several are taken in order
  --build-arg A=B      for the builds of images
  --why TEXT           with maintenance on: what users are told

Actions, in the order in which they are done, however they are given
  maintenance  on|off|show  take no new job and start none that waits; what runs is finished
  backup    FILE  write Redis as of now, and the deployment's secrets, to one file; all goes on
  stop      end the stack: services, containers, secrets, networks. Volumes, with all data, stay
  networks  make the networks
  check     find what would go wrong: engine, swarm, nodes, ports, secrets, certificate, registry,
            and on every node the image, the clock and the space
  build     build its images on this engine
  push      push them to the registry; from then on they are deployed by their digests
  restore   FILE  go back to a backup: stops main, lays Redis's copy into its volume, deploys
  deploy    start it, or bring it to what env file, secrets and images now say; waits until all of it
            runs, and goes back by itself where a new task does not become healthy
  start     deploy again what was stopped
  restart   [SERVICE...]  new tasks, one after the other
  upgrade   build, push and deploy, of what runs
  status    services and tasks, and what is wrong with them
  logs      [SERVICE...]  the last lines of each
  support   FILE  write what somebody who helps needs to one archive (tar.gz), without secrets

Stacks
  main          redis, request, data, scheduler, monitor, agent
  gui           the web GUI, where HEADRACE_GUI_PORT is set
  object_store  an S3 server on one node, where HEADRACE_STORE is as in docker/example.env
  dev_registry  a registry for images, where HEADRACE_REGISTRY is dev
  all           those of them that the env file has a use for

Exit code: 0 done; 1 something is in the way, or check found something; 2 a wrong command line.
HELP
}

help_examples() {
  cat <<'HELP'

How it works
  Every action may be repeated: what is as it should be is left alone. Names of secrets carry a sum of
  their content, images are named by digest (or by id, without a registry), so `deploy` replaces just
  those services of which something changed, one task at a time.

  Passwords and tokens: remove a file of the deployment's folder and deploy.
    rm .headrace/secrets/redis_data && scripts/control-stack.sh main deploy
  Redis takes the old and the new password until the last service has the new one. A new password of
  redis_admin starts Redis anew; services and workers wait for it. A new admin_token revokes the old
  one. internal_token and secrets_key hold one entry a line, of which the first is used and all count:
  docs/deploy.md tells the order.

  The certificate: scripts/gen-cert.sh makes a new one by the same authority; put another authority's
  into tls/. Then deploy. With two nodes in HEADRACE_INGRESS_NODES one of them always answers.

Examples
  scripts/control-stack.sh all networks check build push deploy   from nothing to running
  scripts/control-stack.sh main check                             would a deployment work?
  scripts/control-stack.sh main restart scheduler monitor         two services anew
  scripts/control-stack.sh main logs agent
  scripts/control-stack.sh main maintenance on --why "new disks"
  scripts/control-stack.sh main backup /safe/monday.tar           (docs/operate.md)
  scripts/control-stack.sh main support support.tar.gz            for who helps
  scripts/control-stack.sh main stop start                        down and up; data stays
  scripts/control-stack.sh --name trial --env-file trial.env all check build push deploy
HELP
}
