output "stand_in_endpoint" {
  description = "Where the cluster would answer. It is the stand-in's: the name ends in .invalid and leads nowhere."
  value       = "https://${var.name}.stand-in.invalid:6443"
}

output "nodes" {
  description = "Names of the stand-in's nodes."
  value       = terraform_data.node[*].output.name
}

output "services" {
  description = "Names of the services with their ports."
  value       = { for name, service in terraform_data.service : name => service.output.port }
}

output "kubeconfig" {
  description = "Credentials of the stand-in in the form of a kubeconfig; no server takes them."
  sensitive   = true
  value = yamlencode({
    apiVersion = "v1"
    kind       = "Config"
    clusters = [{
      name    = "${var.name}-stand-in"
      cluster = { server = "https://${var.name}.stand-in.invalid:6443" }
    }]
    users = [{
      name = "${var.name}-stand-in"
      user = { token = terraform_data.credential.id }
    }]
    contexts = [{
      name    = "${var.name}-stand-in"
      context = { cluster = "${var.name}-stand-in", user = "${var.name}-stand-in" }
    }]
    current-context = "${var.name}-stand-in"
  })
}
