resource "azurerm_resource_group" "main" {
  name     = var.name
  location = var.region
}

resource "azurerm_virtual_network" "main" {
  name                = var.name
  resource_group_name = azurerm_resource_group.main.name
  location            = azurerm_resource_group.main.location
  address_space       = ["10.0.0.0/16"]
}

resource "azurerm_subnet" "nodes" {
  name                 = "nodes"
  resource_group_name  = azurerm_resource_group.main.name
  virtual_network_name = azurerm_virtual_network.main.name
  address_prefixes     = ["10.0.0.0/20"]
}

resource "azurerm_kubernetes_cluster" "main" {
  name                = var.name
  resource_group_name = azurerm_resource_group.main.name
  location            = azurerm_resource_group.main.location
  dns_prefix          = var.name

  default_node_pool {
    name                 = "main"
    vm_size              = "Standard_D2s_v5"
    vnet_subnet_id       = azurerm_subnet.nodes.id
    auto_scaling_enabled = var.nodes.most > var.nodes.least
    node_count           = var.nodes.least
    min_count            = var.nodes.most > var.nodes.least ? var.nodes.least : null
    max_count            = var.nodes.most > var.nodes.least ? var.nodes.most : null
  }

  network_profile {
    network_plugin = "azure"
    service_cidr   = "10.1.0.0/20"
    dns_service_ip = "10.1.0.10"
  }

  identity {
    type = "SystemAssigned"
  }

  lifecycle {
    ignore_changes = [default_node_pool[0].node_count]
  }
}

resource "azurerm_postgresql_flexible_server" "main" {
  count = contains(var.databases, "postgresql") ? 1 : 0

  name                          = "${var.name}-postgresql"
  resource_group_name           = azurerm_resource_group.main.name
  location                      = azurerm_resource_group.main.location
  version                       = "16"
  sku_name                      = "B_Standard_B2s"
  storage_mb                    = 32768
  backup_retention_days         = 7
  public_network_access_enabled = false

  authentication {
    active_directory_auth_enabled = true
    password_auth_enabled         = false
  }
}
