output "cluster_endpoint" {
  description = "Address of the cluster's API server."
  sensitive   = true
  value       = azurerm_kubernetes_cluster.main.kube_config[0].host
}

output "kubeconfig" {
  description = "For kubectl."
  sensitive   = true
  value       = azurerm_kubernetes_cluster.main.kube_config_raw
}
