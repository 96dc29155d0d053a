output "cluster_endpoint" {
  description = "Address of the cluster's API server."
  value       = "https://${google_container_cluster.main.endpoint}"
}

output "kubeconfig" {
  description = "For kubectl; it asks gke-gcloud-auth-plugin for a token."
  sensitive   = true
  value = yamlencode({
    apiVersion = "v1"
    kind       = "Config"
    clusters = [{
      name = var.name
      cluster = {
        server                     = "https://${google_container_cluster.main.endpoint}"
        certificate-authority-data = google_container_cluster.main.master_auth[0].cluster_ca_certificate
      }
    }]
    users = [{
      name = var.name
      user = {
        exec = {
          apiVersion         = "client.authentication.k8s.io/v1beta1"
          command            = "gke-gcloud-auth-plugin"
          provideClusterInfo = true
        }
      }
    }]
    contexts        = [{ name = var.name, context = { cluster = var.name, user = var.name } }]
    current-context = var.name
  })
}
