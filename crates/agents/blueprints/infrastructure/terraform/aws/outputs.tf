output "cluster_endpoint" {
  description = "Address of the cluster's API server."
  value       = aws_eks_cluster.main.endpoint
}

output "kubeconfig" {
  description = "For kubectl; it asks the aws command for a token."
  sensitive   = true
  value = yamlencode({
    apiVersion = "v1"
    kind       = "Config"
    clusters = [{
      name    = var.name
      cluster = { server = aws_eks_cluster.main.endpoint, certificate-authority-data = aws_eks_cluster.main.certificate_authority[0].data }
    }]
    users = [{
      name = var.name
      user = {
        exec = {
          apiVersion = "client.authentication.k8s.io/v1beta1"
          command    = "aws"
          args       = ["eks", "get-token", "--cluster-name", var.name, "--region", var.region]
        }
      }
    }]
    contexts        = [{ name = var.name, context = { cluster = var.name, user = var.name } }]
    current-context = var.name
  })
}
