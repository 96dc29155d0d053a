# A stand-in without a provider: the resources of the topology exist in Terraform's state and nowhere else. It shows what belongs together, and
# lets planning, approval, applying, outputs and destroying be tried for real before an account with a provider is there.

resource "terraform_data" "network" {
  input = {
    name = "${var.name}-network"
    cidr = "10.0.0.0/16"
  }
}

resource "terraform_data" "cluster" {
  input = {
    name    = var.name
    network = terraform_data.network.output.name
    nodes   = var.nodes
  }
}

resource "terraform_data" "node" {
  count = var.nodes.least

  input = {
    name    = "${var.name}-node-${count.index + 1}"
    cluster = terraform_data.cluster.output.name
  }
}

resource "terraform_data" "service" {
  for_each = var.services

  input = {
    name     = each.key
    image    = each.value.image
    port     = each.value.port
    replicas = each.value.replicas
    cluster  = terraform_data.cluster.output.name
  }
}

resource "terraform_data" "database" {
  for_each = var.databases

  input = {
    name   = "${var.name}-${each.key}"
    engine = each.key
  }
}

resource "terraform_data" "queue" {
  for_each = var.queues

  input = {
    name   = "${var.name}-${each.key}"
    broker = each.key
  }
}

resource "terraform_data" "monitoring" {
  count = var.monitoring ? 1 : 0

  input = {
    name    = "${var.name}-monitoring"
    cluster = terraform_data.cluster.output.name
    parts   = ["prometheus", "grafana"]
  }
}

# Its id is random and new with each apply of a new place. It is the credential of the stand-in: no server takes it.
resource "terraform_data" "credential" {
  input = terraform_data.cluster.output.name
}
