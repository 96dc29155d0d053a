locals {
  engines = { postgresql = "POSTGRES_16", mysql = "MYSQL_8_0" }
  sql     = setintersection(var.databases, ["postgresql", "mysql"])
}

resource "google_compute_network" "main" {
  name                    = var.name
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "main" {
  name          = var.name
  network       = google_compute_network.main.id
  region        = var.region
  ip_cidr_range = "10.0.0.0/20"

  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = "10.4.0.0/14"
  }

  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = "10.8.0.0/20"
  }
}

resource "google_service_account" "node" {
  account_id   = substr("${var.name}-node", 0, 30)
  display_name = "Nodes of ${var.name}"
}

resource "google_container_cluster" "main" {
  name                     = var.name
  location                 = var.region
  network                  = google_compute_network.main.id
  subnetwork               = google_compute_subnetwork.main.id
  initial_node_count       = 1
  remove_default_node_pool = true
  deletion_protection      = true

  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }
}

# The pool spreads over three zones: its figures are per zone.
resource "google_container_node_pool" "main" {
  name       = "main"
  cluster    = google_container_cluster.main.id
  location   = var.region
  node_count = ceil(var.nodes.least / 3)

  autoscaling {
    min_node_count = ceil(var.nodes.least / 3)
    max_node_count = ceil(var.nodes.most / 3)
  }

  management {
    auto_repair  = true
    auto_upgrade = true
  }

  node_config {
    machine_type    = "e2-standard-2"
    service_account = google_service_account.node.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
  }

  lifecycle {
    ignore_changes = [node_count]
  }
}

resource "google_sql_database_instance" "main" {
  for_each = local.sql

  name                = "${var.name}-${each.key}"
  database_version    = local.engines[each.key]
  region              = var.region
  deletion_protection = true

  settings {
    tier = "db-custom-1-3840"

    backup_configuration {
      enabled = true
    }
  }
}
